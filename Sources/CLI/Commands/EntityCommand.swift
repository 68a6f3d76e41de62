/// `eventstore entity`: monitored sites, their plans and their states. Every change is one audited commit, made by
/// whichever process holds the store.

import ArgumentParser
import EventStore

struct EntityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "entity",
        abstract: "Add, list and change entities: plan, name, suspension, cancellation, erasure.",
        discussion: """
            Changes work while another process writes to the store, and stand in the audit chain with who made \
            them and the reason given.

            Examples:
              eventstore entity list events
              eventstore entity add events example.org --plan starter
              eventstore entity cancel events example.org --erase-after 30d
              eventstore entity erase events example.org --receipt erased.json
            """,
        subcommands: [
            EntityAddCommand.self, EntityListCommand.self, EntityShowCommand.self, EntitySetPlanCommand.self,
            EntityRenameCommand.self, EntitySuspendCommand.self, EntityResumeCommand.self, EntityCancelCommand.self,
            EntityEraseCommand.self, EntityReceiptsCommand.self,
        ])
}

/// What every change of an entity takes, and what it prints.
struct EntityChangeOptions: ParsableArguments {
    @OptionGroup var access: StoreAccess

    @Argument(help: "The entity.")
    var name: String

    @Option(help: ArgumentHelp("Why; kept in the audit chain.", valueName: "text"))
    var reason: String?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    /// Carries the change out; says so in words, and with `--format` prints the entity as it is now.
    func perform(
        _ operation: StoreOperation, now current: String? = nil, saying words: String, already: String? = nil
    ) throws {
        let session = try access.session()
        let result = try session.perform(operation, onEntity: name)
        if case .unchanged = result, let already { return try tell(session, name: current ?? name, already) }
        try tell(session, name: current ?? name, words)
    }

    func tell(_ session: StoreSession, name: String, _ words: String) throws {
        if !quietness.quiet { Diagnostics.line(words) }
        guard format.json || format.format != nil else { return }
        let terminal = Terminal.current()
        let output = Output()
        let fields = FleetText.fields(
            try session.entity(name), times: access.time.times, nowMs: access.time.nowMs)
        try ObjectPrinter.print(fields, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }

    var shown: String { "'\(TextLayout.harmless(name))'" }
}

struct EntityAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add an entity before it has events.",
        discussion: """
            Without --plan it has the store's default plan. An import adds entities by itself unless told not to.

            Example:
              eventstore entity add events example.org --plan professional
            """)

    @OptionGroup var change: EntityChangeOptions

    @Option(help: ArgumentHelp("How long its events are kept; see `plan list`.", valueName: "name"))
    var plan: String?

    @Option(help: ArgumentHelp("Days of its own instead of the plan's.", valueName: "n"))
    var days: Int?

    func validate() throws { try PlanDays.validate(days) }

    func run() throws {
        let session = try change.access.session()
        _ = try session.perform(
            .addEntity(name: change.name, plan: plan, days: days, reason: change.reason))
        try change.tell(session, name: change.name, "added \(change.shown)")
    }
}

struct EntitySetPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-plan",
        abstract: "Change how long an entity's events are kept, at once.",
        discussion: """
            A longer plan keeps what has not expired; a shorter one drops what then has. --plan alone also takes \
            back days of its own.

            Examples:
              eventstore entity set-plan events example.org --plan enterprise
              eventstore entity set-plan events example.org --days 45 --reason 'offer 1234'
            """)

    @OptionGroup var change: EntityChangeOptions

    @Option(help: ArgumentHelp("The plan; see `plan list`.", valueName: "name"))
    var plan: String?

    @Option(help: ArgumentHelp("Days of its own instead of the plan's.", valueName: "n"))
    var days: Int?

    func validate() throws {
        if plan == nil, days == nil { throw ValidationError("give --plan NAME, --days N, or both") }
        try PlanDays.validate(days)
    }

    func run() throws {
        let what = [plan.map { "plan '\(TextLayout.harmless($0))'" }, days.map { "\($0) days" }].compactMap { $0 }
        try change.perform(
            .setEntityPlan(name: change.name, plan: plan, days: days, reason: change.reason),
            saying: "\(change.shown) has \(what.joined(separator: ", ")) now")
    }
}

struct EntityRenameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give an entity another name; its events have it at once.",
        discussion: """
            Example:
              eventstore entity rename events example.org www.example.org
            """)

    @OptionGroup var change: EntityChangeOptions

    @Argument(help: "Its new name.")
    var new: String

    func run() throws {
        try change.perform(
            .renameEntity(name: change.name, to: new, reason: change.reason), now: new,
            saying: "\(change.shown) is '\(TextLayout.harmless(new))' now")
    }
}

struct EntitySuspendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend",
        abstract: "Refuse further events of an entity; keep what is there.",
        discussion: """
            Example:
              eventstore entity suspend events example.org --reason 'invoice 77 is open'
            """)

    @OptionGroup var change: EntityChangeOptions

    func run() throws {
        try change.perform(
            .suspendEntity(name: change.name, reason: change.reason),
            saying: "\(change.shown) is suspended: its events are refused until `entity resume`",
            already: "\(change.shown) is suspended already")
    }
}

struct EntityResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Take events of a suspended or cancelled entity again.",
        discussion: """
            Example:
              eventstore entity resume events example.org
            """)

    @OptionGroup var change: EntityChangeOptions

    func run() throws {
        try change.perform(
            .resumeEntity(name: change.name, reason: change.reason), saying: "\(change.shown) is active again",
            already: "\(change.shown) is active already")
    }
}

struct EntityCancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Refuse further events; erase the entity when its data has lived out its retention.",
        discussion: """
            Until then its data can be read and exported, and `entity resume` takes the cancellation back. \
            --erase-after sets the latest moment; data that is kept for ever needs it. A retention sweep carries \
            the erasure out. Of a cancelled entity --erase-after sets the moment anew.

            Example:
              eventstore entity cancel events example.org --erase-after 30d
            """)

    @OptionGroup var change: EntityChangeOptions

    @Option(help: ArgumentHelp("Erase at the latest after this time: 12h, 30d, 8w.", valueName: "span"))
    var eraseAfter: String?

    func validate() throws {
        if let eraseAfter, CancelTime.ms(eraseAfter) == nil {
            throw ValidationError("--erase-after: '\(eraseAfter)' is no time span; examples: 12h, 30d, 8w")
        }
    }

    func run() throws {
        let after = eraseAfter.flatMap { CancelTime.ms($0) }
        let when =
            eraseAfter.map { "erased after \($0) at the latest" }
            ?? "erased when its data has lived out its retention"
        try change.perform(
            .cancelEntity(name: change.name, eraseAfterMs: after, reason: change.reason),
            saying: "\(change.shown) is cancelled: \(when)", already: "\(change.shown) is cancelled already")
    }
}

package enum CancelTime {
    /// At most a hundred years.
    package static func ms(_ text: String) -> Int64? {
        guard let ms = TimeSpan.parse(Substring(text)), ms <= 36_500 * 86_400_000 else { return nil }
        return ms
    }
}

enum PlanDays {
    static func validate(_ days: Int?) throws {
        if let days, !(1...36_500).contains(days) { throw ValidationError("--days is 1 to 36500") }
    }
}

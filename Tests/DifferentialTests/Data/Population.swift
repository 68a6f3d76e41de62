// Generated events: sizes by Zipf, names of all sorts, ties in time, late and out-of-order ones, over several days.

import EventStore
import Foundation

/// Events in the order they are appended, and in which steps. The same seed gives the same population.
struct Population {
    enum Step {
        /// One append of these events, by position.
        case append(Range<Int>)
        case flush
        case compact
        case reopen
    }

    let seed: UInt64
    private(set) var events: [Event] = []
    private(set) var steps: [Step] = []
    let partition: Partition
    let sharedByEntitiesMin: Int
    let threads: Int
    /// The first day, and how many there are.
    let firstDay: Int64
    let dayCount: Int

    static let dayMs: Int64 = 86_400_000

    static let entityNames = [
        "shop.example", "blog.example", "Ünïcode ☃ site", "it's \"quoted\"", " leading blank", "a b c", "日本語.jp",
        "cafe\u{301}.example", "caf\u{e9}.example", "UPPER.example", "upper.example", "%like_", "x'; DROP TABLE events",
        String(repeating: "n", count: 200), "0", "123", "-", "tab\there", "*glob?", "😀", "site-21", "site-22",
        "site-23",
        "zz.example",
    ]
    static let typeNames = [
        "http.request", "auth.attempt", "wp.cron", "db.query", "mail sent", "Http.Request", "тип",
    ]
    /// Days on which something happens to clocks or calendars: both changes of daylight saving time, the end of a
    /// year, a leap day, and an ordinary week.
    private static let firstDays: [Int64] = [
        1_743_120_000_000, 1_761_264_000_000, 1_735_430_400_000, 1_708_992_000_000, 1_756_771_200_000,
    ]

    /// Rows with which the first entity has several blocks in a segment, one of them of its main type alone, and the
    /// second a single one that has zones: nothing of it is read where those rule it out.
    static let tallRows = 23_300...23_800
    let isTall: Bool

    /// - Parameters:
    ///   - big: gives the first entity more rows of one type than a block holds.
    ///   - tall: gives it most rows, of few attributes, in one segment.
    init(seed: UInt64, rows: ClosedRange<Int>, big: Bool = false, tall: Bool = false) {
        self.seed = seed
        isTall = tall
        var random = SeededGenerator(seed: seed, purpose: 1)
        partition = tall ? .month : random.pick(weighted: [(6, .day), (3, .week), (1, .month)])
        sharedByEntitiesMin = random.pick([0, 2, 3, 3])
        threads = random.pick([1, 2, 2])
        firstDay = tall ? Self.firstDays[4] : random.pick(Self.firstDays)
        dayCount = random.within(5...7)
        let count = random.within(rows)
        let weights = Self.entityNames.indices.map { (1200 / ($0 + 1), $0) }
        var last = firstDay
        var order = Array(weights.indices)
        random.shuffle(&order)
        for ordinal in 0..<count {
            let isBig = tall ? ordinal >= Self.tallStart && !random.percent(3) : big && !random.percent(10)
            // Everybody once, then by weight.
            let large = tall && random.percent(22) ? 1 : 0
            let entity = isBig ? large : ordinal < order.count ? ordinal : order[random.pick(weighted: weights)]
            // The first events have one attribute each for certain, so that every name is known.
            let certain = ordinal < AttributeSpec.all.count ? AttributeSpec.all[ordinal] : nil
            var type = random.pick(weighted: [(10, 0), (6, 1), (4, 2), (3, 3), (2, 4), (2, 5), (1, 6)])
            if isBig, !tall || !random.percent(3) { type = 0 }
            if let given = certain?.types.first { type = given }
            let day = random.below(dayCount)
            if !random.percent(20) { last = firstDay + Int64(day) * Self.dayMs + Self.timeOfDay(&random) }
            events.append(
                Self.event(
                    &random, ordinal: ordinal, entity: entity, type: type, time: last, since: firstDay,
                    certain: certain?.name, isSparse: isBig && tall))
        }
        plan(&random)
    }

    /// Events of a tall population before its large entity begins.
    private static let tallStart = 300

    /// The time of the store's clock while event `ordinal` is appended.
    func clock(at ordinal: Int) -> Int64 { firstDay + 8 * Self.dayMs + Int64(ordinal / 97) * 1000 }

    private static func timeOfDay(_ random: inout SeededGenerator) -> Int64 {
        switch random.below(10) {
        case 0: return 0
        case 1: return dayMs - 1
        case 2: return Int64(random.below(24)) * 3_600_000
        default: return Int64(random.below(Int(dayMs)))
        }
    }

    private static func event(
        _ random: inout SeededGenerator, ordinal: Int, entity: Int, type: Int, time: Int64, since: Int64,
        certain: String?, isSparse: Bool
    ) -> Event {
        let context = EventContext(
            ordinal: ordinal, entity: entity, type: type, day: Int((time - since) / dayMs))
        var attributes: [String: AttributeValue] = [:]
        for spec in AttributeSpec.all where spec.types.isEmpty || spec.types.contains(type) {
            let isLeftOut = isSparse && spec.name.utf8.count % 4 != 0 && !random.percent(2)
            guard random.percent(spec.density) && !isLeftOut || spec.name == certain else { continue }
            attributes[spec.name] = spec.make(&random, context)
        }
        var bytes = random.next()
        let high = withUnsafeBytes(of: &bytes, Array.init)
        bytes = random.next()
        let low = withUnsafeBytes(of: &bytes, Array.init)
        let id = UUID(
            uuid: (
                high[0], high[1], high[2], high[3], high[4], high[5], high[6] & 0x0f | 0x40, high[7],
                low[0] & 0x3f | 0x80,
                low[1], low[2], low[3], low[4], low[5], low[6], low[7]
            ))
        return Event(
            entity: entityNames[entity], type: typeNames[type], timestamp: time,
            id: random.percent(85) ? id : nil, attributes: attributes)
    }

    /// Four rounds of appends and flushes, perhaps a compaction after the second, so that even a store of one partition
    /// has three segments; then rows that mostly stay in the journal.
    private mutating func plan(_ random: inout SeededGenerator) {
        let count = events.count
        let tall = [100, 200, Self.tallStart, count - 200, count]
        let ends = isTall ? tall : [count * 25 / 100, count * 45 / 100, count * 65 / 100, count * 80 / 100, count]
        let isCompacted = random.percent(50)
        let isReopened = random.percent(30)
        let isAllFlushed = random.percent(15)
        var start = 0
        for (round, end) in ends.enumerated() {
            while start < end {
                let next = min(end, start + random.within(1...max(1, count / 6)))
                steps.append(.append(start..<next))
                start = next
            }
            if round < 4 || isAllFlushed { steps.append(.flush) }
            if round == 1, isCompacted { steps.append(.compact) }
        }
        if isReopened { steps.append(.reopen) }
    }
}

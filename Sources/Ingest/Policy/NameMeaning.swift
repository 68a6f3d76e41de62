// What an attribute's name says about its values. Decided once a name; see docs/policy.md for the rules.
//
// In English compounds the last word rules: an `access_token` is a token, a `token_bucket_size` is a size. So a
// name is a finding when it ends in a telling word, or when what follows the word leaves the thing what it is.

struct NameMeaning: Sendable, Equatable {
    enum Path: Sendable { case no, ifLooking, yes }

    /// What text (and arrays) under this name are.
    var text: PolicyReason?
    /// What numbers are.
    var number: PolicyReason?
    var bool: PolicyReason?
    var path = Path.no
    /// An address of the internet protocol.
    var isAddress = false
    var isUserAgent = false
    /// Statements stand here, perhaps of a database.
    var isStatement = false

    init() {}

    init(_ name: UnsafeRawBufferPointer) {
        let parts = NameWords.parts(name)
        guard let last = parts.last else { return }
        let joined = parts.count > 1 ? parts[parts.count - 2] + last : last
        findCredential(last, joined)
        if text == nil { findOthers(last, joined) }
        if text == nil { findBelow(parts) }
        if text == nil { findUse(last, joined) }
    }

    init(_ name: String) { self = Array(name.utf8).withUnsafeBytes { NameMeaning($0) } }

    // MARK: Credentials

    private enum Strength { case none, weak, strong }

    private mutating func findCredential(_ last: [String], _ joined: [String]) {
        let own = NameMeaning.credential(last)
        if own.strength != .none {
            text = .credential
            let isCounted = last.first.map { NameLists.judgements.contains($0) } ?? false
            if !isCounted, !NameLists.neverNumbers.contains(own.word) { number = .credential }
        } else if NameMeaning.credential(joined, crossing: last.count).strength != .none {
            text = .credential
        }
    }

    /// How far the words of a part name a credential, and the word that does.
    /// - Parameter tail: only terms count that reach out of the last `tail` words: those of a part and the one before.
    private static func credential(_ words: [String], crossing tail: Int? = nil) -> (strength: Strength, word: String) {
        guard let first = words.first, !NameLists.predicates.contains(first) || words.count == 1 else {
            return (.none, "")
        }
        for index in words.indices.reversed() {
            let strength = term(words, index, crossing: tail)
            guard strength != .none else { continue }
            if leaves(words, index, strength) { return (strength, words[index]) }
        }
        return (.none, "")
    }

    private static func term(_ words: [String], _ index: Int, crossing tail: Int?) -> Strength {
        let word = words[index]
        let isPair = index > 0 && NameLists.credentialPairs[word]?.contains(words[index - 1]) == true
        if let tail {
            // Only what neither part says alone.
            let boundary = words.count - tail
            if isPair, index == boundary { return .strong }
            return index < boundary && NameLists.tokens.contains(word) ? .weak : .none
        }
        if isPair || NameLists.passwords.contains(word) || NameLists.secrets.contains(word) { return .strong }
        if NameLists.tokens.contains(word) { return .weak }
        if word == "pass", words.count == 1 { return .weak }
        return NameLists.endings.contains { word.hasSuffix($0) } ? .strong : .none
    }

    /// Whether what follows the word leaves the thing a credential.
    private static func leaves(_ words: [String], _ index: Int, _ strength: Strength) -> Bool {
        let rest = words[(index + 1)...]
        guard let last = rest.last else { return true }
        if strength == .weak { return rest.allSatisfy { NameLists.itself.contains($0) } }
        if NameLists.fingerprints.contains(last) { return isPassword(words[index]) }
        return !NameLists.about.contains(last)
    }

    private static func isPassword(_ word: String) -> Bool {
        NameLists.passwords.contains(word) || word.hasSuffix("password") || word.hasSuffix("pass")
    }

    // MARK: What people wrote

    private struct Terms {
        var reason: PolicyReason
        var words: Set<String>
        var pairs: [String: Set<String>]
        var alone: Set<String> = []
        var itself: Set<String>
    }

    private static let others = [
        Terms(
            reason: .email, words: NameLists.emails, pairs: NameLists.emailPairs, itself: NameLists.emailItself),
        Terms(
            reason: .database, words: NameLists.databases, pairs: NameLists.databasePairs,
            alone: NameLists.databasesAlone, itself: NameLists.bodyItself),
        Terms(
            reason: .body, words: NameLists.bodies, pairs: NameLists.bodyPairs, alone: NameLists.bodiesAlone,
            itself: NameLists.bodyItself),
        Terms(reason: .queryString, words: ["querystring"], pairs: NameLists.queryPairs, itself: ["raw", "full"]),
    ]

    private mutating func findOthers(_ last: [String], _ joined: [String]) {
        guard let first = last.first, !NameLists.predicates.contains(first) || last.count == 1 else { return }
        for terms in NameMeaning.others {
            if NameMeaning.names(last, terms) || NameMeaning.names(joined, terms, crossing: last.count) {
                text = terms.reason
                return
            }
        }
    }

    private static func names(_ words: [String], _ terms: Terms, crossing tail: Int? = nil) -> Bool {
        if terms.reason == .body, let first = words.first, NameLists.notBodies.contains(first) { return false }
        for index in words.indices.reversed() {
            let word = words[index]
            let isPair = index > 0 && terms.pairs[word]?.contains(words[index - 1]) == true
            let isHit: Bool
            if let tail {
                let boundary = words.count - tail
                isHit =
                    index == boundary && isPair
                    || index < boundary && terms.reason == .email && terms.words.contains(word)
            } else {
                let isAlone = terms.alone.contains(word)
                isHit = isPair || terms.words.contains(word) && !isAlone || isAlone && index == 0
            }
            if isHit { return words[(index + 1)...].allSatisfy { terms.itself.contains($0) } }
        }
        return false
    }

    // MARK: Names below others

    /// `cookies.theme`, `form_data.city`: what stands below a credential or a form is part of it.
    private mutating func findBelow(_ parts: [[String]]) {
        guard parts.count > 1, let last = parts.last?.last else { return }
        for part in parts.dropLast() {
            if NameMeaning.credential(part).strength == .strong, !NameLists.about.contains(last),
                !NameLists.fingerprints.contains(last)
            {
                return findAll(.credential)
            }
            if NameMeaning.isForm(part), !NameLists.aboutBody.contains(last) { return findAll(.body) }
        }
    }

    private mutating func findAll(_ reason: PolicyReason) {
        text = reason
        number = reason
        bool = reason
    }

    private static func isForm(_ part: [String]) -> Bool {
        guard let last = part.last, let first = part.first, !NameLists.predicates.contains(first) else { return false }
        if ["body", "formdata", "postdata"].contains(last) || part == ["form"] { return true }
        return part.count > 1 && ["form", "post", "raw", "submission"].contains(part[part.count - 2])
            && ["data", "values", "fields", "input", "post"].contains(last)
    }

    // MARK: Other uses

    private mutating func findUse(_ last: [String], _ joined: [String]) {
        isUserAgent = last.last == "useragent" || last.last == "ua" || last.suffix(2) == ["user", "agent"]
        isStatement = last.contains { NameLists.statements.contains($0) }
        if NameMeaning.ends(joined, NameLists.paths, NameLists.pathItself) {
            path = .yes
        } else if let end = last.last,
            NameLists.maybePaths.contains(end) || joined.contains(where: NameLists.paths.contains)
        {
            path = .ifLooking
        }
        let isPair = joined.indices.dropFirst().contains { index in
            NameLists.addressPairs[joined[index]]?.contains(joined[index - 1]) == true
        }
        isAddress = NameMeaning.ends(last, NameLists.addresses, NameLists.addressItself) || isPair
    }

    private static func ends(_ words: [String], _ terms: Set<String>, _ itself: Set<String>) -> Bool {
        guard let index = words.lastIndex(where: { terms.contains($0) }) else { return false }
        return words[(index + 1)...].allSatisfy { itself.contains($0) }
    }
}

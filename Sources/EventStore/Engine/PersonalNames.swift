// Which attributes may name a person: their values never join a vocabulary that several entities share.

enum PersonalNames {
    private static let words: Set<String> = [
        "ip", "ips", "ipv4", "ipv6", "addr", "address", "host", "hostname", "remote", "client", "peer", "forwarded",
        "user", "users", "username", "userid", "login", "author", "actor", "account", "customer", "member", "owner",
        "hash", "id", "ids", "uid", "uuid", "guid", "key", "token", "nonce", "cookie", "session", "sid", "secret",
        "password", "mail", "email", "recipient", "sender", "phone", "tel", "nick", "nickname", "firstname",
        "lastname", "fullname", "displayname", "person", "lat", "lon", "latitude", "longitude", "geo", "city", "zip",
        "postcode", "query", "search", "term", "message", "comment", "title", "subject", "body", "text",
    ]

    /// Names that contain such a word and tell of no person.
    private static let harmless: Set<String> = [
        "user_agent", "useragent", "agent", "hash_algorithm", "key_type", "mail_status", "client_version",
    ]

    /// Whether a name has a word of the list, words being split at punctuation and at changes of case.
    static func isPersonal(_ name: String) -> Bool {
        let last = name.split(separator: ".").last.map(String.init) ?? name
        if harmless.contains(last.lowercased()) { return false }
        return parts(name).contains { words.contains($0) }
    }

    private static func parts(_ name: String) -> [String] {
        var parts: [String] = []
        var current = ""
        var previousIsLower = false
        for character in name {
            let isWord = character.isLetter || character.isNumber
            if !isWord || (character.isUppercase && previousIsLower) {
                if !current.isEmpty { parts.append(current) }
                current = ""
            }
            if isWord { current.append(contentsOf: character.lowercased()) }
            previousIsLower = character.isLowercase || character.isNumber
        }
        if !current.isEmpty { parts.append(current) }
        return parts
    }
}

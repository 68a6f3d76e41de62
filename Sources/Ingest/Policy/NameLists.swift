// The words that tell what an attribute holds. docs/policy.md says how they are used; change both together.

/// Words of names, in lower case, without digits at their ends.
enum NameLists {
    /// Credentials whatever stands around them, unless what follows says that it is about them.
    static let passwords: Set<String> = [
        "password", "passwords", "passwd", "passwort", "kennwort", "passphrase", "passcode", "pwd", "contrasena",
        "contraseña", "senha", "motdepasse",
    ]
    static let secrets: Set<String> = [
        "secret", "secrets", "credential", "credentials", "authorization", "cookie", "cookies", "setcookie", "apikey",
        "apikeys", "apitoken", "apisecret", "authtoken", "accesstoken", "refreshtoken", "bearertoken", "idtoken",
        "usertoken", "csrftoken", "xsrftoken", "formtoken", "sessiontoken", "secretkey", "privatekey", "accesskey",
        "clientsecret", "appsecret", "consumersecret", "consumerkey", "authkey", "licensekey", "wpnonce", "phpsessid",
        "jsessionid", "sessid", "sessionid", "sessionkey", "userpass", "dbpass", "authcookie", "cvv", "cvc",
    ]
    /// Endings that words run together with others have (`mysqlpassword`).
    static let endings = [
        "password", "passwd", "passphrase", "apikey", "secretkey", "privatekey", "accesstoken", "sessid",
    ]
    /// Credentials where they end a name, or where one of `itself` follows.
    static let tokens: Set<String> = [
        "token", "tokens", "nonce", "csrf", "xsrf", "session", "jwt", "bearer", "otp", "totp", "pin", "salt", "sid",
    ]
    /// Of those: numbers under these names are counts or other people's ids.
    static let neverNumbers: Set<String> = [
        "tokens", "csrf", "xsrf", "cookie", "cookies", "credentials", "salt", "sid", "secrets", "passwords",
        "pass",
    ]
    /// Two words that are a credential together.
    static let credentialPairs: [String: Set<String>] = [
        "key": [
            "api", "access", "private", "secret", "signing", "encryption", "license", "licence", "activation", "reset",
            "auth", "master", "ssh", "consumer", "account", "session", "in", "pgp", "gpg", "rsa", "shared", "service",
            "decryption", "hmac", "jwt", "security", "recovery", "sess",
        ],
        "keys": ["api", "access", "private", "secret", "signing", "encryption", "ssh"],
        "code": [
            "verification", "mfa", "otp", "totp", "recovery", "backup", "auth", "authorization", "security", "login",
        ],
        "codes": ["recovery", "backup", "mfa"],
        "id": ["session", "sess"],
        "pass": [
            "user", "db", "my", "admin", "login", "ftp", "smtp", "mail", "http", "root", "account", "wp", "site", "new",
            "old", "current", "mysql", "database", "proxy", "imap", "ldap",
        ],
        "salt": ["auth", "nonce", "password", "hash", "in"],
        "number": ["card", "iban"],
        "pan": ["card"],
        "verifier": ["oauth", "code"],
    ]
    /// Words after a credential that leave it one.
    static let itself: Set<String> = [
        "value", "text", "plain", "plaintext", "raw", "header", "headers", "string", "data", "old", "new", "current",
        "confirm", "confirmation", "repeat", "again", "b", "base", "hex", "encoded", "encrypted", "jwt", "key",
        "secret",
        "token",
    ]
    /// What a last word says is about a credential, not the credential.
    static let about: Set<String> = [
        "count", "counts", "size", "length", "len", "bytes", "type", "types", "kind", "name", "names", "status",
        "state",
        "result", "valid", "validity", "verified", "expires", "expired", "expiry", "expiration", "expire", "ttl", "age",
        "lifetime", "timeout", "created", "updated", "changed", "change", "changes", "reset", "resets", "rotated",
        "rotation", "policy", "strength", "score", "required", "enabled", "disabled", "set", "present", "missing",
        "exists", "used", "uses", "usage", "limit", "limits", "max", "min", "bucket", "buckets", "rate", "ratio",
        "attempts", "attempt", "failures", "failure", "failed", "fails", "errors", "error", "success", "ok", "method",
        "mode", "scheme", "algorithm", "algo", "alg", "format", "version", "source", "origin", "provider", "issuer",
        "scope", "scopes", "action", "actions", "event", "events", "hook", "url", "uri", "path", "page", "form",
        "field",
        "fields", "link", "at", "on", "time", "date", "ms", "seconds", "day", "days", "hours", "duration", "start",
        "started", "end", "ended", "begin", "index", "position", "line", "domain", "host", "prefix", "flag", "flags",
        "samesite", "secure", "httponly", "consent", "notice", "banner", "category", "preferences", "store", "storage",
        "manager", "handler", "check", "checks", "checked", "guard", "protection", "protected", "generated", "sent",
        "match", "matches", "matched", "mismatch", "level", "budget", "total", "num", "reason", "request", "requests",
        "response", "refresh", "refreshed", "revoked", "login", "logins", "plugin", "id", "ids", "depth", "users",
    ]
    /// A fingerprint is no credential, except that of a password, which can be guessed.
    static let fingerprints: Set<String> = ["hash", "hashed", "digest", "checksum", "fingerprint", "sha", "md", "crc"]
    /// A first word that asks or tells about what follows.
    static let predicates: Set<String> = [
        "is", "has", "had", "have", "needs", "need", "no", "require", "requires", "missing", "num", "uses", "use",
        "without", "max", "min", "total", "count",
    ]
    /// The same, where the value is a number: failed passwords are counted.
    static let judgements: Set<String> = [
        "invalid", "failed", "wrong", "bad", "expired", "lost", "forgot", "empty", "valid", "weak", "new", "active",
    ]

    static let emails: Set<String> = [
        "email", "emails", "mailto", "recipient", "recipients", "bcc", "useremail", "emailaddress", "mailaddress",
    ]
    static let emailPairs: [String: Set<String>] = [
        "to": ["mail", "email", "reply", "message"], "from": ["mail", "email", "envelope"], "mail": ["e"],
        "mails": ["e"], "cc": ["mail", "email"], "bcc": ["mail", "email"], "path": ["return"],
        "address": ["mail", "email", "sender", "recipient"], "addr": ["mail", "email"],
        "addresses": ["mail", "email", "recipient"],
    ]
    static let emailItself: Set<String> = [
        "address", "addresses", "addr", "value", "text", "raw", "old", "new", "list", "current", "confirm", "data",
    ]

    static let bodies: Set<String> = [
        "body", "content", "contents", "html", "form", "postdata", "formdata", "textarea", "markup", "rawpost",
        "requestbody", "responsebody", "messagebody", "innerhtml",
    ]
    static let bodyPairs: [String: Set<String>] = [
        "data": ["post", "form", "raw", "input", "request", "submission"], "values": ["form"], "fields": ["form"],
        "input": ["form", "user", "raw"], "post": ["raw"], "subject": ["mail", "email"], "text": ["mail", "comment"],
        "message": ["mail", "email"], "source": ["page"],
    ]
    /// A form is named by more than what is in it: these names are the whole of a part, or nothing.
    static let bodiesAlone: Set<String> = ["form"]
    static let bodyItself: Set<String> = [
        "raw", "text", "html", "plain", "data", "string", "value", "values", "json", "xml", "preview", "excerpt",
        "snippet", "parsed", "decoded", "encoded", "markdown", "before", "after", "old", "new", "fields",
    ]
    /// Names below a body that tell of it.
    static let aboutBody: Set<String> = [
        "id", "ids", "count", "size", "length", "len", "bytes", "type", "types", "hash", "status", "plugin", "encoding",
        "version", "format", "valid", "ms", "time", "duration", "charset", "kb", "lines", "truncated", "errors",
    ]
    static let notBodies: Set<String> = ["mixed", "duplicate", "thin", "static"]

    static let databases: Set<String> = ["sql", "dump", "resultset", "sqldump", "bindings", "sqlquery"]
    static let databasePairs: [String: Set<String>] = [
        "rows": ["result", "table", "db", "data", "sample"], "set": ["result"], "row": ["db", "table"],
        "data": ["row", "table"], "contents": ["table"], "params": ["sql", "bind", "statement"],
        "bindings": ["sql", "query"],
    ]
    static let databasesAlone: Set<String> = ["rows", "row"]
    static let statements: Set<String> = ["query", "queries", "statement", "statements", "stmt"]

    static let queryPairs: [String: Set<String>] = [
        "string": ["query"], "strings": ["query"], "params": ["query", "get", "url"], "query": ["url", "uri"],
        "parameters": ["query", "url"],
    ]

    static let paths: Set<String> = [
        "path", "paths", "url", "urls", "uri", "uris", "href", "referrer", "referer", "referrers", "referers",
        "request",
        "location", "permalink",
    ]
    /// Paths if the value looks like one.
    static let maybePaths: Set<String> = [
        "endpoint", "target", "destination", "redirect", "src", "link", "links", "page", "route", "landing", "ref",
        "canonical", "origin", "resource", "action",
    ]
    static let pathItself: Set<String> = [
        "full", "raw", "old", "new", "from", "to", "value", "original", "line", "target", "info", "uri", "url", "path",
    ]

    static let addresses: Set<String> = [
        "ip", "ips", "ipv", "forwarded", "ipaddress", "ipaddr", "remoteaddr", "clientip",
    ]
    static let addressPairs: [String: Set<String>] = [
        "addr": ["remote", "peer", "client", "source", "src", "ip"],
        "address": ["remote", "peer", "client", "source", "ip"],
        "host": ["remote"], "for": ["forwarded"],
    ]
    static let addressItself: Set<String> = ["address", "addr", "for", "list", "raw", "value"]
}

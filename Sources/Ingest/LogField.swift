// What the directives of an access log's format mean, and under which names their values are kept.

/// What is done with one field of a log line. `-` stands for an absent value everywhere.
enum LogRole: UInt8, Sendable {
    /// Read past.
    case ignored
    /// Names a person or carries a secret: counted, never kept.
    case stripped
    case text
    case host
    /// `GET /path?query HTTP/1.1`: method, path and protocol.
    case request
    /// A path or URL whose query is cut.
    case path
    case referrer
    case integer
    case microseconds
    case milliseconds
    /// Seconds, also with decimals.
    case seconds
    /// Seconds of one or more upstream servers, which are added up.
    case secondsList
    /// `10/Oct/2000:13:55:36 -0700`
    case accessTime
    /// A number by magnitude, or RFC 3339.
    case time
}

struct LogField: Sendable, Equatable {
    var role: LogRole
    /// The attribute it becomes; empty for roles that make none or several.
    var name = ""
    /// One value for each upstream server nginx asked, separated by `, ` or ` : `.
    var isList: Bool { role == .secondsList || (role == .text && name.hasPrefix("upstream_")) }
    /// Names the configured virtual host, not what a client sent as Host.
    var isCanonicalHost = false
    /// Apache writes it with square brackets around it.
    var isBracketed = false

    static let ignored = LogField(role: .ignored)
    static let stripped = LogField(role: .stripped)

    static func text(_ name: String) -> LogField { LogField(role: .text, name: name) }
    static func integer(_ name: String) -> LogField { LogField(role: .integer, name: name) }
    static func duration(_ role: LogRole) -> LogField { LogField(role: role, name: "duration_ms") }

    var isTime: Bool { role == .accessTime || role == .time }

    // MARK: Apache (mod_log_config)

    /// The field of `%{argument}letter`; `nil` for a directive that is not known.
    static func apache(_ letter: Character, argument: String?) -> LogField? {
        switch letter {
        case "i": requestHeader(argument ?? "")
        case "o": responseHeader(argument ?? "")
        case "C": .stripped
        case "e", "n": .text(attributeName(argument ?? ""))
        case "t": apacheTime(argument)
        case "T": apacheDuration(argument)
        default: apachePlain[letter]
        }
    }

    private static let apachePlain: [Character: LogField] = [
        "h": .text("ip"), "a": .text("ip"), "A": .text("server_ip"), "l": .ignored, "u": .stripped,
        "r": LogField(role: .request), "s": .integer("status"), "b": .integer("bytes"), "B": .integer("bytes"),
        "O": .integer("bytes"), "I": .integer("bytes_received"), "S": .ignored, "D": .duration(.microseconds),
        "v": LogField(role: .host, name: "host", isCanonicalHost: true), "V": LogField(role: .host, name: "host"),
        "p": .integer("port"), "m": .text("method"), "U": LogField(role: .path, name: "path"), "q": .stripped,
        "H": .text("protocol"), "L": .text("request_id"), "f": .ignored, "k": .ignored, "P": .ignored,
        "R": .text("handler"), "X": .ignored,
    ]

    private static func apacheTime(_ argument: String?) -> LogField? {
        switch argument {
        case nil: LogField(role: .accessTime, isBracketed: true)
        case "sec", "msec", "usec", "%s": LogField(role: .time)
        case "%d/%b/%Y:%H:%M:%S %z": LogField(role: .accessTime)
        case "%Y-%m-%dT%H:%M:%S%z", "%FT%T%z": LogField(role: .time)
        default: nil
        }
    }

    private static func apacheDuration(_ argument: String?) -> LogField? {
        switch argument {
        case nil, "s": .duration(.seconds)
        case "ms": .duration(.milliseconds)
        case "us": .duration(.microseconds)
        default: nil
        }
    }

    // MARK: nginx (ngx_http_log_module and the variables of the core)

    static func nginx(_ variable: String) -> LogField {
        if let known = nginxVariables[variable] { return known }
        if variable.hasPrefix("http_") { return requestHeader(String(variable.dropFirst(5))) }
        if variable.hasPrefix("sent_http_") { return responseHeader(String(variable.dropFirst(10))) }
        if variable.hasPrefix("cookie_") || variable.hasPrefix("arg_") { return .stripped }
        return .text(attributeName(variable))
    }

    private static let nginxVariables: [String: LogField] = [
        "remote_addr": .text("ip"), "binary_remote_addr": .ignored, "remote_user": .stripped, "remote_port": .ignored,
        "realip_remote_addr": .text("proxy_ip"), "server_addr": .text("server_ip"), "server_port": .integer("port"),
        "time_local": LogField(role: .accessTime), "time_iso8601": LogField(role: .time),
        "msec": LogField(role: .time), "request": LogField(role: .request), "status": .integer("status"),
        "body_bytes_sent": .integer("bytes"), "bytes_sent": .integer("bytes"),
        "request_length": .integer("bytes_received"), "request_time": .duration(.seconds),
        "upstream_response_time": LogField(role: .secondsList, name: "upstream_ms"),
        "request_method": .text("method"), "request_uri": LogField(role: .path, name: "path"),
        "uri": LogField(role: .path, name: "path"), "document_uri": LogField(role: .path, name: "path"),
        "args": .stripped, "query_string": .stripped, "is_args": .ignored, "request_body": .stripped,
        "server_protocol": .text("protocol"), "scheme": .text("scheme"), "request_id": .text("request_id"),
        "host": LogField(role: .host, name: "host"),
        "server_name": LogField(role: .host, name: "host", isCanonicalHost: true),
        "connection": .ignored, "connection_requests": .ignored, "pipe": .ignored, "gzip_ratio": .ignored,
        "pid": .ignored, "hostname": .text("server"),
    ]

    // MARK: Headers

    private static let secretHeaders: Set<String> = [
        "cookie", "cookie2", "set_cookie", "authorization", "proxy_authorization", "x_api_key", "x_auth_token",
        "x_csrf_token", "x_wp_nonce",
    ]

    private static func requestHeader(_ header: String) -> LogField {
        let name = attributeName(header)
        switch name {
        case "referer", "referrer": return LogField(role: .referrer, name: "referrer")
        case "user_agent": return .text("user_agent")
        case "host": return LogField(role: .host, name: "host")
        case "x_forwarded_for": return .text("forwarded_for")
        default: return secretHeaders.contains(name) ? .stripped : .text(name)
        }
    }

    private static func responseHeader(_ header: String) -> LogField {
        let name = attributeName(header)
        return secretHeaders.contains(name) ? .stripped : .text("response_" + name)
    }

    /// `X-Cache` becomes `x_cache`.
    private static func attributeName(_ name: String) -> String {
        let lower = name.lowercased().replacing("-", with: "_")
        let full = String(decoding: EventFields.attributeName(Array(lower.utf8)), as: UTF8.self)
        return full.isEmpty || full.utf8.count > 100 ? "unnamed" : full
    }
}

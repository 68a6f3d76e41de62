/// Made-up events that look like a week of ten small sites: days and nights, weekends, a password-guessing
/// run against one site and an outage of another. Nothing in them comes from anybody's logs.

import EventStore

struct DemoEvents {
    static let sites = [
        "shop.example", "bakery.example", "museum.example", "choir.example", "clinic.example", "hiking.example",
        "library.example", "brewery.example", "school.example", "garden.example",
    ]
    /// The site with the outage.
    static let brokenSite = "bakery.example"
    /// The site somebody tries passwords on.
    static let attackedSite = "museum.example"
    static let days: Int64 = 7

    private static let siteWeights = sites.indices.map { 1 / Double($0 + 1) }
    private static let kinds = [
        "http.request", "wp.cron", "auth.attempt", "rest.request", "mail.sent", "php.error",
        "plugin.update", "backup.finished",
    ]
    private static let kindWeights = [0.62, 0.13, 0.05, 0.1, 0.05, 0.03, 0.012, 0.008]
    private static let hourMs: Int64 = 3_600_000

    private let nowMs: Int64
    private var random = DemoRandom(seed: 0x5EED_0F_DE30)

    init(nowMs: Int64) { self.nowMs = nowMs }

    /// `count` events in order of time, each as one line of JSON for `sink`.
    mutating func write(count: Int, to sink: (String) throws -> Void) throws {
        let times = times(count: count).sorted()
        for time in times { try sink(line(at: time)) }
    }

    // MARK: When

    private mutating func times(count: Int) -> [Int64] {
        let span = DemoEvents.days * 24 * DemoEvents.hourMs
        var result: [Int64] = []
        result.reserveCapacity(count)
        while result.count < count {
            let ago = Int64(random.unit() * Double(span)) + 1
            let time = nowMs - ago
            if random.chance(DemoEvents.busyness(time) + (isAttack(ago) ? 0.9 : 0)) { result.append(time) }
        }
        return result
    }

    /// From 0.1 at night to 0.7 in the afternoon; weekends are quieter.
    private static func busyness(_ ms: Int64) -> Double {
        let hour = Int(CivilTime.floorDivide(ms, hourMs)) % 24
        let curve = [15, 12, 10, 10, 11, 14, 22, 34, 46, 55, 60, 62, 58, 60, 66, 70, 68, 64, 60, 58, 52, 42, 30, 20]
        let weekday = (CivilTime.floorDivide(ms, CivilTime.dayMs) + 3) % 7
        return Double(curve[hour]) / 100 * (weekday >= 5 ? 0.65 : 1)
    }

    private func isAttack(_ ago: Int64) -> Bool { (50 * DemoEvents.hourMs..<55 * DemoEvents.hourMs).contains(ago) }

    private func isOutage(_ ago: Int64) -> Bool { (26 * DemoEvents.hourMs..<29 * DemoEvents.hourMs).contains(ago) }

    // MARK: What

    private mutating func line(at time: Int64) -> String {
        let ago = nowMs - time
        let attacked = isAttack(ago) && random.chance(0.6)
        let site = attacked ? DemoEvents.attackedSite : DemoEvents.sites[random.weighted(DemoEvents.siteWeights)]
        let kind = attacked ? "auth.attempt" : DemoEvents.kinds[random.weighted(DemoEvents.kindWeights)]
        let broken = isOutage(ago) && site == DemoEvents.brokenSite
        let labels = attacked ? guess() : labels(kind, broken: broken)
        return JSONValue.object([
            ("event_id", .string(identifier())), ("entity", .string(site)), ("event_type", .string(kind)),
            ("timestamp", .integer(time)), ("labels", .object(labels)),
        ]).text
    }

    private mutating func labels(_ kind: String, broken: Bool) -> [(String, JSONValue)] {
        switch kind {
        case "http.request": request(broken: broken)
        case "rest.request": rest(broken: broken)
        case "wp.cron": cron()
        case "auth.attempt": login()
        case "mail.sent": mail()
        case "php.error": phpError()
        case "plugin.update": update()
        default: backup()
        }
    }

    private mutating func request(broken: Bool) -> [(String, JSONValue)] {
        let paths = [
            "/", "/", "/", "/contact/", "/news/", "/opening-hours/", "/feed/", "/about/", "/events/2026/",
            "/wp-login.php", "/robots.txt", "/sitemap.xml", "/old-page/",
        ]
        let path = random.pick(paths)
        let status =
            broken && random.chance(0.7)
            ? random.pick([502, 503, 504]) : path == "/old-page/" ? 404 : random.chance(0.004) ? 500 : 200
        return [
            ("method", .string(random.chance(0.94) ? "GET" : "POST")), ("path", .string(path)),
            ("status", .int(status)),
            ("duration_ms", .int(random.tailed(broken ? 4000 : 90))), ("bytes", .int(random.tailed(14_000))),
            ("logged_in", .bool(random.chance(0.06))), ("ip_anon", .string(address())),
            ("user_agent", .string(agent())),
        ]
    }

    private mutating func rest(broken: Bool) -> [(String, JSONValue)] {
        let route = random.pick(["/wp/v2/posts", "/wp/v2/media", "/oembed/1.0/embed", "/wp-site-health/v1/tests"])
        return [
            ("method", .string("GET")), ("route", .string(route)),
            ("status", .int(broken && random.chance(0.7) ? 503 : random.chance(0.05) ? 401 : 200)),
            ("duration_ms", .int(random.tailed(60))), ("authenticated", .bool(random.chance(0.3))),
        ]
    }

    private mutating func cron() -> [(String, JSONValue)] {
        let hooks = [
            "wp_version_check", "wp_scheduled_delete", "action_scheduler_run_queue", "do_pings", "cache_sweep",
        ]
        return [
            ("hook", .string(random.pick(hooks))), ("duration_ms", .int(random.tailed(250))),
            ("late_seconds", .int(random.tailed(3))), ("ok", .bool(random.chance(0.995))),
        ]
    }

    private mutating func login() -> [(String, JSONValue)] {
        let ok = random.chance(0.8)
        return [
            ("result", .string(ok ? "success" : "wrong_password")), ("method", .string("password")),
            ("two_factor", .bool(ok && random.chance(0.4))), ("ip_anon", .string(address())),
        ]
    }

    private mutating func guess() -> [(String, JSONValue)] {
        [
            ("result", .string(random.chance(0.7) ? "unknown_user" : "wrong_password")), ("method", .string("xmlrpc")),
            ("two_factor", .bool(false)), ("ip_anon", .string("203.0.113.\(random.next() % 4 * 16)")),
        ]
    }

    private mutating func mail() -> [(String, JSONValue)] {
        [
            ("template", .string(random.pick(["order_received", "password_reset", "comment_notice", "newsletter"]))),
            ("transport", .string("smtp")), ("ok", .bool(random.chance(0.98))),
            ("duration_ms", .int(random.tailed(400))),
        ]
    }

    private mutating func phpError() -> [(String, JSONValue)] {
        [
            ("level", .string(random.pick(["warning", "warning", "deprecated", "deprecated", "fatal"]))),
            ("component", .string(random.pick(["theme:harbour", "plugin:forms", "plugin:gallery", "core"]))),
            ("line", .int(random.tailed(200))),
        ]
    }

    private mutating func update() -> [(String, JSONValue)] {
        let minor = Int(random.next() % 20)
        return [
            ("slug", .string(random.pick(["forms", "gallery", "seo-basics", "cache-lite"]))),
            ("from", .string("2.\(minor).0")), ("to", .string("2.\(minor + 1).0")), ("ok", .bool(random.chance(0.97))),
        ]
    }

    private mutating func backup() -> [(String, JSONValue)] {
        let seconds = Double(random.tailed(300)) / 10
        return [
            ("bytes", .int(random.tailed(80_000_000))), ("duration_seconds", .double(seconds)),
            ("ok", .bool(random.chance(0.98))),
        ]
    }

    /// Documentation addresses, the last byte cut off.
    private mutating func address() -> String {
        "\(random.pick(["192.0.2", "198.51.100", "203.0.113"])).\(random.next() % 8 * 32)"
    }

    private mutating func agent() -> String {
        random.pick([
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
            "Mozilla/5.0 (compatible; ExampleBot/1.0; +https://bot.example/)", "curl/8.9.1",
        ])
    }

    /// A version-4 UUID.
    private mutating func identifier() -> String {
        let high = String(random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000, radix: 16)
        let low = String(random.next() >> 2 | 0x8000_0000_0000_0000, radix: 16)
        let text = String(repeating: "0", count: 16 - high.count) + high + low
        var result = ""
        for (index, digit) in text.enumerated() {
            if [8, 12, 16, 20].contains(index) { result.append("-") }
            result.append(digit)
        }
        return result
    }
}

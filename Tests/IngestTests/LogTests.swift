// Access logs: the usual formats, Apache directives, nginx variables, escapes, what is stripped and refused.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct LogTests {
    private func parse(_ format: String, _ lines: String, entity: String? = "e.example", zone: String? = nil) throws
        -> Parsed
    {
        let parser = try LogLineParser(
            pattern: LogPattern(format), options: testOptions(entity: entity, zone: zone), identity: PlainIdentity())
        parser.parseAll(Array(lines.utf8))
        return parser.finish()
    }

    private func attributes(_ format: String, _ line: String) throws -> [String: Value]? {
        let parsed = try parse(format, line)
        #expect(parsed.rows.count == 1, "\(line): \(parsed.report.first)")
        return parsed.rows.first?.attributes
    }

    @Test func commonFormat() throws {
        let line = #"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#
        let parsed = try parse("clf", line)
        let row = try #require(parsed.rows.first)
        #expect(row.entity == "e.example" && row.type == "http.request" && row.timestamp == 971_211_336_000)
        #expect(row.flags == RowFlags.idFromLine.rawValue && row.id.high >> 12 & 15 == 8)
        #expect(
            row.attributes == [
                "ip": .string("127.0.0.1"), "method": .string("GET"), "path": .string("/apache_pb.gif"),
                "protocol": .string("HTTP/1.0"), "status": .integer(200), "bytes": .integer(2326),
            ])
        // The user's name is not kept.
        #expect(parsed.report.stripped == 1)
    }

    @Test func combinedFormat() throws {
        let line =
            #"2001:db8::1 - - [01/Jan/2024:00:00:00 +0530] "POST /a?b=c HTTP/2.0" 404 - "#
            + #""https://u:p@x.example/y?z=1#f" "Mozilla/5.0 \"x\" (é)""#
        let parsed = try parse("combined", line + "\r\n")
        let row = try #require(parsed.rows.first)
        #expect(row.timestamp == 1_704_047_400_000)
        #expect(
            row.attributes == [
                "ip": .string("2001:db8::1"), "method": .string("POST"), "path": .string("/a"),
                "protocol": .string("HTTP/2.0"), "status": .integer(404), "referrer": .string("https://x.example/y"),
                "user_agent": .string("Mozilla/5.0 \"x\" (é)"),
            ])
        #expect(parsed.report.stripped == 3)
    }

    @Test func virtualHosts() throws {
        let line = #"WWW.Example.org:443 1.2.3.4 - - [01/Jan/2024:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#
        let named = try parse("vhost_combined", line, entity: nil)
        #expect(named.rows.first?.entity == "www.example.org")
        #expect(named.rows.first?.attributes["host"] == .string("www.example.org"))
        #expect(named.rows.first?.attributes["port"] == .integer(443))
        #expect(named.rows.first?.attributes["referrer"] == nil)
        #expect(try parse("vhost_combined", line).rows.first?.entity == "e.example")
        #expect(throws: Fault.self) { _ = try parse("combined", "", entity: nil) }
        let none = #"-:80 1.2.3.4 - - [01/Jan/2024:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#
        #expect(try parse("vhost_combined", none, entity: nil).refusals == [.noEntity])
        let format = #"%V %v [%{sec}t]"#
        #expect(throws: Fault.self) { _ = try LogPattern("%v%V %t") }
        #expect(
            try parse(format, "sent.example canon.example [1700000000]", entity: nil).rows.first?.entity
                == "canon.example")
    }

    @Test(arguments: [
        ("GET /a HTTP/1.1", ["method": Value.string("GET"), "path": .string("/a"), "protocol": .string("HTTP/1.1")]),
        ("GET /", ["method": .string("GET"), "path": .string("/")]),
        (
            "GET /a b c HTTP/1.1",
            ["method": .string("GET"), "path": .string("/a b c"), "protocol": .string("HTTP/1.1")]
        ),
        (
            "PROPFIND /?x HTTP/1.1",
            ["method": .string("PROPFIND"), "path": .string("/"), "protocol": .string("HTTP/1.1")]
        ),
        ("GET ?x HTTP/1.1", ["method": .string("GET"), "protocol": .string("HTTP/1.1")]),
        (
            "GET http://h/p?q HTTP/1.1",
            ["method": .string("GET"), "path": .string("http://h/p"), "protocol": .string("HTTP/1.1")]
        ),
        ("OPTIONS * HTTP/1.0", ["method": .string("OPTIONS"), "path": .string("*"), "protocol": .string("HTTP/1.0")]),
        ("-", [:]), ("", [:]), ("GET", ["request": .string("GET")]), ("GET ", ["request": .string("GET ")]),
        ("\\x16\\x03\\x01", ["request": .string("\u{16}\u{3}\u{1}")]),
        ("\\x16\\x89", ["request": .string("\\x16\\x89")]),
        ("\\\"a\\\\b\\q\\x", ["request": .string("\"a\\b\\q\\x")]),
        ("/evil?secret", ["request": .string("/evil")]),
        (
            "GET /\\xc3\\xa9 HTTP/1.1",
            ["method": .string("GET"), "path": .string("/é"), "protocol": .string("HTTP/1.1")]
        ),
    ])
    func requestLines(_ request: String, _ expected: [String: Value]) throws {
        let found = try attributes(#"%t "%r" %>s"#, "[01/Jan/2024:00:00:00 +0000] \"\(request)\" 200")
        #expect(found == expected.merging(["status": .integer(200)]) { $1 })
    }

    @Test func apacheValues() throws {
        let format =
            #"%a|%A|%m|%H|%s|%B|%I|%O|%D|%p|%{X-Forwarded-For}i|%{Content-Type}o|%{Cookie}i|%{UNIQUE_ID}e|%400,501{Via}i|%!200{X-Odd}^ti|%%|%t"#
        let line =
            #"1.1.1.1|3.3.3.3|GET|HTTP/1.1|200|10|20|30|123456|443|9.9.9.9|text/html|a=b|Zx|proxy|-|%|[10/Oct/2000:13:55:36 -0700]"#
        #expect(
            try attributes(format, line) == [
                "ip": .string("1.1.1.1"), "server_ip": .string("3.3.3.3"), "method": .string("GET"),
                "protocol": .string("HTTP/1.1"), "status": .integer(200), "bytes": .integer(10),
                "bytes_received": .integer(20), "duration_ms": .integer(123), "port": .integer(443),
                "forwarded_for": .string("9.9.9.9"), "response_content_type": .string("text/html"),
                "unique_id": .string("Zx"), "via": .string("proxy"),
            ])
    }

    @Test func durations() throws {
        for (directive, text, expected) in [
            ("%D", "499", 0), ("%D", "500", 1), ("%D", "1500000", 1500), ("%T", "3", 3000), ("%{ms}T", "7", 7),
            ("%{us}T", "7000", 7),
        ] as [(String, String, Int64)] {
            #expect(
                try attributes("\(directive) %t", "\(text) [10/Oct/2000:13:55:36 +0000]") == [
                    "duration_ms": .integer(expected)
                ])
        }
        // Microseconds count where both are there.
        #expect(try attributes("%T %D %t", "1 1234567 [10/Oct/2000:13:55:36 +0000]") == ["duration_ms": .integer(1235)])
        for (text, expected) in [("0.000", 0), ("0.1234", 123), ("0.1235", 124), ("12", 12_000), ("1.5", 1500)]
            as [(String, Int64)]
        {
            #expect(try attributes("$request_time $msec", "\(text) 1.0") == ["duration_ms": .integer(expected)])
        }
    }

    @Test func nginxVariables() throws {
        let format =
            #"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "#
            + #""$http_user_agent" "$http_x_forwarded_for" $host ${request_time} $upstream_response_time $upstream_cache_status"#
        let line =
            #"1.2.3.4 - bob [10/Oct/2000:13:55:36 +0200] "GET /a?b HTTP/2.0" 200 77 "-" "UA \x22q\x22" "5.6.7.8, 9.9.9.9" "#
            + #"Shop.Example 0.250 0.100, 0.050 : - HIT"#
        let parsed = try parse(format, line, entity: nil)
        let row = try #require(parsed.rows.first)
        #expect(row.entity == "shop.example" && row.timestamp == 971_178_936_000)
        #expect(
            row.attributes == [
                "ip": .string("1.2.3.4"), "method": .string("GET"), "path": .string("/a"),
                "protocol": .string("HTTP/2.0"), "status": .integer(200), "bytes": .integer(77),
                "user_agent": .string("UA \"q\""), "forwarded_for": .string("5.6.7.8, 9.9.9.9"),
                "host": .string("shop.example"), "duration_ms": .integer(250), "upstream_ms": .integer(150),
                "upstream_cache_status": .string("HIT"),
            ])
        #expect(parsed.report.stripped == 2)
    }

    @Test func timesOfAllForms() throws {
        for (format, text, expected) in [
            ("$time_iso8601", "2023-11-14T23:13:20+01:00", 1_700_000_000_000),
            ("$msec", "1700000000.123", 1_700_000_000_123),
            ("%{sec}t", "1700000000", 1_700_000_000_000), ("%{msec}t", "1700000000123", 1_700_000_000_123),
            ("%{usec}t", "1700000000123456", 1_700_000_000_123),
            ("%t", "[14/Nov/2023:22:13:20 +0000]", 1_700_000_000_000),
            ("%t", "[14/nov/2023:22:13:20 -0000]", 1_700_000_000_000),
            ("%t", "[14/Nov/2023:22:13:60 +0000]", 1_700_000_039_999),
        ] as [(String, String, Int64)] {
            #expect(try parse(format, text).rows.first?.timestamp == expected)
        }
        #expect(try parse("%t", "[14/Nov/2023:22:13:20]").refusals == [.timestampWithoutZone])
        #expect(
            try parse("%t", "[14/Nov/2023:23:13:20]", zone: "Europe/Berlin").rows.first?.timestamp == 1_700_000_000_000)
        for bad in [
            "[31/Nov/2023:22:13:20 +0000]", "[14/Nox/2023:22:13:20 +0000]", "[14/Nov/2023:25:13:20 +0000]", "[]", "[x]",
        ] {
            let found = try parse("%t", bad).refusals
            #expect(found == [.badTimestamp] || (bad == "[]" && found == [.noTimestamp]))
        }
        #expect(try parse("%t", "[14/Nov/2123:22:13:20 +0000]").refusals == [.futureTimestamp])
        #expect(try parse("%t", "-").refusals == [.badLogLine])
        #expect(try parse("$msec", "-").refusals == [.noTimestamp])
    }

    @Test(arguments: [
        "", "x", "1.2.3.4", #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200"#,
        #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "a" "b" c"#,
        #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 2x0 1 "a" "b""#,
        #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "a" "b"#,
        #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0 200 1 "a" "b""#,
        #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "a" "b\""#,
    ])
    func badLines(_ line: String) throws {
        let parsed = try parse("combined", "\n" + line + "\n")
        #expect(parsed.rows.isEmpty)
        #expect(parsed.refusals == (line.isEmpty ? [] : [.badLogLine]))
        #expect(line.isEmpty || parsed.report.first[0].line == 2)
    }

    @Test(arguments: ["", "%h %l", "%h %z %t", "%{x", "%", "%{%Y}t", "$", "${msec", "%h%l %t", "$remote_addr$msec"])
    func badFormats(_ format: String) {
        #expect(throws: Fault.self) { _ = try LogPattern(format) }
    }

    @Test func formatsAsTheyStandInAConfiguration() throws {
        let text = #"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""#
        let line = #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "a" "b""#
        #expect(try parse(text, line).rows == parse("combined", line).rows)
        #expect(try attributes(#"%h\t%t"#, "1.2.3.4\t[10/Oct/2000:13:55:36 -0700]") == ["ip": .string("1.2.3.4")])
    }

    @Test func usersWithSpaces() throws {
        let line = #"1.2.3.4 - a b [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#
        #expect(try parse("clf", line).report.stripped == 1)
        // A line of vhost_combined is none of combined.
        #expect(try parse("clf", "h.example:80 " + line.replacing("a b", with: "-")).refusals == [.badLogLine])
    }

    @Test func textBehindAFieldOfSeveralBytes() throws {
        let time = "[10/Oct/2000:13:55:36 -0700]"
        #expect(
            try attributes(#"%{User-agent}i | %h  %t"#, "a b |c \\x41 | 1.2.3.4  \(time)")
                == ["user_agent": .string("a b |c A"), "ip": .string("1.2.3.4")])
        #expect(
            try attributes("%h <-- here --> %{User-agent}i == %t", "1.2.3.4 <-- here --> a = b == \(time)")
                == ["user_agent": .string("a = b"), "ip": .string("1.2.3.4")])
        #expect(try parse("%h <-- here --> %t", "1.2.3.4 <-- herf --> \(time)").refusals == [.badLogLine])
    }

    @Test(arguments: [
        ("Example.org:8080", "example.org"), ("[::1]:80", "[::1]"), ("example.org", "example.org"), ("h:", "h:"),
        ("10.0.0.1", "10.0.0.1"), ("123", "123"), (":80", ":80"),
    ])
    func hosts(_ text: String, _ expected: String) throws {
        let parsed = try parse("$http_host $msec", "\(text) 1.0", entity: nil)
        #expect(parsed.rows.first?.entity == expected)
        #expect(parsed.rows.first?.attributes == ["host": .string(expected)])
    }

    @Test func invalidUTF8IsRefused() throws {
        let parser = try LogLineParser(
            pattern: LogPattern("combined"), options: testOptions(entity: "e"), identity: PlainIdentity())
        let line = #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "a" "b"#
        parser.parseAll(Array(line.utf8) + [0xff] + Array("\"\n\(line)\"".utf8))
        let parsed = parser.finish()
        #expect(parsed.rows.count == 1 && parsed.refusals == [.badUTF8])
    }

    @Test func idsComeFromEntityAndLine() throws {
        let line = #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#
        let first = try parse("clf", line + "\n" + line + " \r\n" + line + "0\n").rows
        #expect(first[0].id == first[1].id && first[0].id != first[2].id)
        #expect(try parse("clf", line, entity: "other").rows[0].id != first[0].id)
    }

    @Test func mutationsNeverTrap() throws {
        var random = TestRandom()
        let text =
            #"h.example:80 1.2.3.4 - x [10/Oct/2000:13:55:36 -0700] "GET /a?b=\"c HTTP/1.0" 200 1 "http://a@b/c?d" "é\x41""#
        let parser = try LogLineParser(
            pattern: LogPattern("vhost_combined"), options: testOptions(), identity: PlainIdentity())
        let interesting: [UInt8] = [0x0a, 0x20, 0x22, 0x5c, 0x5b, 0x5d, 0x3f, 0x40, 0xc3, 0x00, 0x2d, 0x78]
        for _ in 0..<8000 {
            var bytes = Array(text.utf8)
            for _ in 0..<random.below(4) {
                let place = random.below(bytes.count)
                if random.below(2) == 0 { bytes[place] = random.pick(interesting) } else { bytes.remove(at: place) }
            }
            let end = random.below(2) == 0 ? bytes.count : random.below(bytes.count + 1)
            parser.parseAll(Array(bytes.prefix(end)))
        }
        #expect(parser.rowCount > 0, "seed \(random.seed)")
    }
}

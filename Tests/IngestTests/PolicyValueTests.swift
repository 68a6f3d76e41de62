// What values look like to the collection policy: findings, near misses, hostile lengths.

import Foundation
import Testing

@testable import EventStoreIngest

@Suite struct PolicyValueTests {
    static func looks(_ text: String) -> Looks {
        let scanner = ValueScanner()
        return Array(text.utf8).withUnsafeBytes { scanner.looks($0) }.subtracting(.any)
    }

    static let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

    static let found: [(String, Looks)] = [
        (jwt, .jwt), ("token " + jwt + " refused", .jwt), ("x=" + jwt, .jwt),
        ("Bearer abc123def456", .bearer), ("Authorization was bearer A1b2C3d4E5f6G7h8", .bearer),
        ("Basic dXNlcjpwYXNz", .basic), ("sent basic YWRtaW46aHVudGVyMg== to it", .basic),
        ("AKIAIOSFODNN7EXAMPLE", .providerKey), ("id=ASIAIOSFODNN7EXAMPLE;", .providerKey),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", .providerKey),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", .providerKey),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", .providerKey), ("xoxb-123456789012-abcdefABCDEF", .providerKey),
        ("sk-proj-Ab3dEf6hIjKlMnOpQrStUv", .providerKey), ("ck_" + String(repeating: "0a", count: 20), .providerKey),
        ("AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", .providerKey),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", .pem), ("key: -----BEGIN CERTIFICATE-----", .pem),
        ("$2y$10$abcdefghijklmnopqrstuv0123456789ABCDEFGHIJKLMNOPQRSTU", .passwordHash),
        ("$P$B12345678abcdefghijklmnopqrstu.", .passwordHash),
        ("https://user:pw@host.example/x", .userinfo), ("mysql://root:hunter2@localhost/db", .userinfo),
        ("login failed password=hunter2", .assignment), ("log=admin&pwd=x1", .assignment),
        ("action=x&_wpnonce=2b3c95c2f7", .assignment), ("PHPSESSID=aab45f4f00143", .assignment),
        (#"[{"password":"hunter2"}]"#, .assignment), (#"[{"api_key": "x"}]"#, .assignment),
        (#"["{\"token\":\"abc\"}"]"#, .assignment), ("user[password]=x", .assignment),
        ("Cookie: a=b", .assignment), ("> Authorization: Digest x", .assignment),
        ("bob@example.org", .email), ("mail to Bob <bob.smith+tag@mail.example.co.uk>", .email),
        ("/unsubscribe/bob%40example.org/", .email), (#"["bob@example.org"]"#, .email),
        (#"["bob\u0040example.org"]"#, .email), ("a@b@example.org", .email), ("mailto:info@exämple.org", .email),
        ("x@example.museum", .email), ("bob@xn--bcher-kva.example", .email),
        ("<html><head>", .html), ("<!DOCTYPE html>", .html), ("text <BODY class=x>", .html),
        ("<form action=/x>", .html),
        ("SELECT * FROM wp_users WHERE user_login = 'admin'", .sql), ("INSERT INTO t (a, b) VALUES ('x', 'y')", .sql),
        ("UPDATE wp_options SET option_value='secret' WHERE 1", .sql), ("error in: DELETE FROM t WHERE id=5", .sql),
        ("SELECT a FROM b WHERE c LIKE '%x%'", .sql),
        (#"a:2:{s:4:"user";s:3:"bob";}"#, .serialized), (#"O:8:"WP_Theme":1:{}"#, .serialized),
        ("--x\nContent-Disposition: form-data; name=\"a\"", .formPart), ("/a?b", .query), ("/a#b", .query),
    ]

    @Test(arguments: found) func isFound(_ text: String, _ expected: Looks) {
        #expect(PolicyValueTests.looks(text).contains(expected), "\(text)")
    }

    static let nothing = [
        "", "/wp-login.php", "/wp-admin/admin-ajax.php", "wp_mail_failed", "delete_expired_transients",
        "wp_privacy_delete_old_export_files", "password", "password_reset", "check pass; user unknown", "token_bucket",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:118.0) Gecko/20100101 Firefox/118.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/7.19.7 (x86_64-redhat-linux-gnu) libcurl/7.19.7 NSS/3.19.1 Basic ECC zlib/1.2.3",
        "aes256-cbc,chacha20-poly1305@openssh.com,rijndael-cbc@lysator.liu.se",
        "  ubuntu : TTY=pts/0 ; PWD=/var/lib/ubuntu ; USER=root ; COMMAND=/usr/bin/apt-get update",
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=1.2.3.4",
        "/wp-content/uploads/logo@2x.png", "jquery@3.6.0/dist/jquery.min.js", "root@localhost", "@media", "user @ home",
        "getty@tty1.service", "a@b", "a@.org", "@example.org", "x@1.2.3.4", "actions/checkout@v4",
        "made basic corrections", "Basic Education High School No.4", "Basic authentication failed",
        "Bearer token missing", "bearer authentication is required", #"Bearer realm="example", error="invalid_token""#,
        "Barrier abc123def456", "Select an option from the list", "select the item where it is 'nice'",
        "SELECT * FROM t WHERE a = ? AND b = %s AND c = $1 AND d = :name", "DELETE request for /a/5", "UPDATE set",
        "eyJustAName.min.js", "eyJ.x.y", "heyJude", "AKIA", "AKIAIOSFODNN7", "TAKIAIOSFODNN7EXAMPLE",
        "https://user@host", "https://example.org:8443/x", "http://www.google.com/bot.html", "http://[::1]:80/",
        "password=", "password=***", "token=&x=1", "key=value", "a=b&c=d", "keyword=x", "author=bob", "monkey=1",
        "session=closed", "result: failed, method: password", "Password: wrong", "token_type=bearer", "a == b",
        "/servlet/<script>alert('x')</script>", "<ref>http://x.example/</ref>", "<small>", "a < b", "<formula>",
        "sk-learn-and-other-words-joined-together", "sk_SK", "whsec_", "-----", "--- BEGIN ---", "$100", "US$ 5",
        "a:b", "a:2", "O: yes", "wordpress.org", "2001:db8::1", "9d0d14dbca5aeb2984ede0a61985ee9947f782e3", "SG.1",
        "Talk:Oswald Tilghman", "И ты, Брут", "/* Basic concepts */", "[[User talk:x|x]]", "100%40", "%40", "50%4012",
    ]

    @Test(arguments: nothing) func isNothing(_ text: String) {
        #expect(PolicyValueTests.looks(text).word == nil, "\(text): \(PolicyValueTests.looks(text).word ?? "")")
    }

    @Test func longTextsAndTraces() {
        let line = "Dear Sir or Madam, thank you for your letter of the third, which I have read with interest.\n"
        #expect(PolicyValueTests.looks(String(repeating: line, count: 20)).contains(.longText))
        #expect(PolicyValueTests.looks(String(repeating: line, count: 3)).word == nil)
        let trace = (0..<40).map { "#\($0) /var/www/html/wp-includes/class-wp-hook.php(\($0)): WP_Hook->do_action()" }
        #expect(PolicyValueTests.looks("PHP Fatal error: x\n" + trace.joined(separator: "\n")).word == nil)
        let java = (0..<40).map { "\tat org.example.Service$\($0).call(Service.java:\($0))" }
        #expect(PolicyValueTests.looks("java.lang.Exception\n" + java.joined(separator: "\n")).word == nil)
    }

    @Test func statements() {
        func isStatement(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { StatementLook.isStatement($0) } }
        #expect(isStatement("select id from t where name='x'"))
        #expect(isStatement("  (select 1 from t where a >= 5)"))
        #expect(!isStatement("select id from t where name=?"))
        #expect(!isStatement("selected='x'"))
        #expect(!isStatement("/c+dir"))
        #expect(!isStatement("type=file&folder=5"))
        #expect(!isStatement(""))
    }

    // MARK: Hostile texts

    static let hostile = [
        "a@", "@", "eyJ", "eyJ-", "eyJaaaaaaaa.", "eyJaaaaaaaa", "%40", "a%40", "://", "a://b:", "a:b@", "a=",
        "password=",
        "\":\"", "\"a\":", "SELECT ", "SELECT * FROM ", "UPDATE a SET ", "<html", "<", "\n", "\n#1", "$2y$", "$",
        "Bearer ",
        "Basic ", "sk-", "a.", "a.b@", "-----BEGIN", "-", "\\u0040", "\\", "token_", "a.a@a.", "1:", "Cookie: ", "?",
        "[password]=",
        "a_password_b=;", " LIKE '", "key1=x&key2=y&",
    ]

    /// Time this thread has worked: other tests run beside.
    private static func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Eight times the length takes about eight times the time, not sixty-four times.
    @Test(arguments: hostile) func timeIsLinear(_ piece: String) {
        let scanner = ValueScanner()
        func seconds(_ bytes: Int) -> Double {
            let text = Array(String(repeating: piece, count: bytes / piece.utf8.count).utf8)
            var best = Double.infinity
            for _ in 0..<3 {
                let start = PolicyValueTests.threadSeconds()
                text.withUnsafeBytes { value in
                    _ = scanner.looks(value)
                    _ = ValueRewrite.cuttingEmails(value)
                    _ = ValueRewrite.cuttingQuery(value, isJSON: true)
                    _ = ValueRewrite.truncatingAddresses(value)
                    _ = StatementLook.isStatement(value)
                }
                best = min(best, PolicyValueTests.threadSeconds() - start)
            }
            return best
        }
        let short = seconds(8_192)
        let long = seconds(65_536)
        #expect(long < 24 * short + 0.02, "\(piece): \(short) s for 8 KiB, \(long) s for 64 KiB")
    }

    @Test func namesAreLinear() {
        let name = String(repeating: "password_reset.", count: 4000)
        let start = ContinuousClock.now
        _ = NameMeaning(name)
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func randomBytesNeverTrap() {
        do {
            var random = TestRandom()
            print("PolicyValueTests.randomBytesNeverTrap: seed \(random.seed)")
            let scanner = ValueScanner()
            let pieces = PolicyValueTests.hostile + PolicyValueTests.nothing + PolicyValueTests.found.map(\.0)
            for _ in 0..<3000 {
                var text: [UInt8] = []
                for _ in 0..<Int.random(in: 0..<6, using: &random) {
                    let piece = Array(pieces.randomElement(using: &random)!.utf8)
                    text += piece.dropFirst(Int.random(in: 0...piece.count, using: &random))
                    if Bool.random(using: &random) { text.append(.random(in: 0...255, using: &random)) }
                }
                text.withUnsafeBytes { value in
                    _ = scanner.looks(value)
                    let cut = ValueRewrite.cuttingEmails(value)
                    cut.withUnsafeBytes { #expect(EmailLook.next(in: $0, from: 0) == nil || cut.count < value.count) }
                    _ = ValueRewrite.cuttingQuery(value, isJSON: true)
                    _ = ValueRewrite.cuttingQuery(value, isJSON: false)
                    _ = ValueRewrite.truncatingAddresses(value)
                    _ = NameMeaning(value)
                }
            }
        }
    }
}

@Suite struct PolicyRewriteTests {
    private func query(_ text: String, json: Bool = false) -> String {
        Array(text.utf8).withUnsafeBytes {
            String(decoding: ValueRewrite.cuttingQuery($0, isJSON: json), as: UTF8.self)
        }
    }

    @Test func queryStrings() {
        #expect(query("/a?b=c") == "/a")
        #expect(query("/a#b?c") == "/a")
        #expect(query("?x") == "")
        #expect(query("/a/b") == "/a/b")
        #expect(query("https://h.example/p?q=1#f") == "https://h.example/p")
        #expect(query("GET /a?b=c HTTP/1.1") == "GET /a HTTP/1.1")
        #expect(query("GET /a?b HTTP/11") == "GET /a")
        #expect(query("HTTP/1.1?") == "HTTP/1.1")
        #expect(query(#"["/a?b","/c#d","e"]"#, json: true) == #"["/a","/c","e"]"#)
        #expect(query(#"["a\"?b",["?"],1]"#, json: true) == #"["a\"",[""],1]"#)
        #expect(query(#"["a\u003fb=secret\"x","c"]"#, json: true) == #"["a","c"]"#)
    }

    private func email(_ text: String) -> String {
        Array(text.utf8).withUnsafeBytes { String(decoding: ValueRewrite.cuttingEmails($0), as: UTF8.self) }
    }

    @Test func emails() {
        #expect(email("Embedly +support@embed.ly") == "Embedly +")
        #expect(email("a bob@x.org, c@y.org d") == "a ,  d")
        #expect(email("(+mailto:bot@x.org; 1)") == "(+mailto:; 1)")
        #expect(email("none") == "none")
    }

    private func address(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { value in
            ValueRewrite.truncatingAddresses(value).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func addresses() {
        #expect(address("192.0.2.17") == "192.0.2.0")
        #expect(address("192.0.2.0") == nil)
        #expect(address("192.0.2.17:8080") == "192.0.2.0:8080")
        #expect(address("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::")
        #expect(address("2001:db8::1") == "2001:db8::")
        #expect(address("::1") == "::")
        #expect(address("[2001:db8::1]:443") == "[2001:db8::]:443")
        #expect(address("fe80::1%eth0") == "fe80::%eth0")
        #expect(address("::ffff:192.0.2.17") == "::ffff:192.0.2.0")
        #expect(address("192.0.2.1, 198.51.100.2,unknown") == "192.0.2.0, 198.51.100.0,unknown")
        #expect(address("for=192.0.2.60;proto=http;by=203.0.113.43") == "for=192.0.2.0;proto=http;by=203.0.113.0")
        #expect(address(#"["192.0.2.9"]"#) == #"["192.0.2.0"]"#)
        for text in [
            "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.+4", "a", "::g", "1:2:3", "12:30:45", "cafe", ":::",
            "1::2::3",
        ] {
            #expect(address(text) == nil, "\(text)")
        }
    }
}

// What names of attributes tell the collection policy, with near misses on both sides.

import Testing

@testable import EventStoreIngest

@Suite struct PolicyNameTests {
    static let credentials = [
        "password", "Password", "user_password", "userPassword", "user.password", "PASSWORD", "DB_PASSWORD",
        "password2",
        "password_confirm", "new_password", "passwd", "user-passwd", "pwd", "db.pwd", "mysqlpassword", "password_hash",
        "passwordHash", "passphrase", "secret", "client_secret", "clientSecret", "secret_key", "token", "access_token",
        "accessToken", "refresh_token", "csrf_token", "csrf", "xsrf-token", "x-csrf-token", "authenticity_token",
        "api_key", "apiKey", "APIKey", "x-api-key", "apikey", "private_key", "access_key", "license_key",
        "activation_key", "authorization", "Authorization", "proxy-authorization", "req.headers.authorization",
        "cookie",
        "cookies", "set-cookie", "setCookie", "headers.cookie", "cookies.theme", "session", "session_id", "sessionId",
        "session.id", "PHPSESSID", "user_session", "nonce", "_wpnonce", "wp_nonce", "nonce_value", "user_pass", "pass",
        "otp", "totp_code", "mfa_code", "backup_codes", "jwt", "id_token", "credentials", "credentials.user",
        "passwort", "auth_key", "consumer_key", "consumer_secret", "labels.token", "payload.password", "auth.token",
        "password_for_admin", "secrets.stripe", "sid", "cvv", "card_number", "user[password]",
    ]
    static let notCredentials = [
        "password_reset", "password_changed", "passwordStrength", "password_length", "password_policy", "has_password",
        "is_password_set", "password_reset.user_id", "token_bucket", "token_bucket_size", "token_count", "max_tokens",
        "token_type", "tokenExpires", "token_hash", "session_count", "session_duration_ms", "sessions", "session_start",
        "session.count", "session_hash", "username_hash", "user_hash", "cookie_consent", "cookies_count",
        "cookie_notice",
        "has_cookie", "nonce_failures", "csrf_failed", "nonce_age", "api_key_count", "key", "keys_changed", "cache_key",
        "primary_key", "meta_key", "public_key", "authenticated", "auth_method", "auth.method", "auth.result", "author",
        "authority", "secretary", "passenger", "bypass", "compass", "pass_rate", "tests_passed", "pinned", "ping",
        "spin", "token_bucket.size", "secret_rotation", "credentials_updated", "tokenizer", "tokenized", "obsession",
        "sessional", "keyboard", "keyword", "monkey", "code", "status_code", "countryIsoCode", "error_code", "post_id",
        "message_hash", "mfa", "method", "via", "known_user", "logged_in", "user_agent", "authorization_status",
        "cookie_name", "signature", "assign", "design", "salted_caramel",
    ]

    @Test(arguments: credentials) func credential(_ name: String) {
        #expect(NameMeaning(name).text == .credential, "\(NameWords.parts(name))")
    }

    @Test(arguments: notCredentials) func noCredential(_ name: String) {
        #expect(NameMeaning(name).text == nil, "\(NameWords.parts(name))")
    }

    @Test(arguments: [
        "email", "user_email", "userEmail", "e-mail", "e_mail", "emailAddress", "mail_to", "mail.to", "mailto",
        "recipient", "recipients", "reply_to", "return_path", "email_address", "payload.email", "bcc", "mail_from",
    ])
    func email(_ name: String) { #expect(NameMeaning(name).text == .email) }

    @Test(arguments: [
        "email_count", "email_verified", "email_status", "mail_status", "email_template", "recipient_count",
        "email_hash", "mail", "mailer", "transport", "template_hash", "has_email", "sender_type", "to", "from",
        "email_domain", "mail.sent", "path",
    ])
    func noEmail(_ name: String) { #expect(NameMeaning(name).text == nil) }

    @Test(arguments: [
        "body", "content", "html", "form", "post_data", "postData", "message_body", "payload.body",
        "request_body", "response.body", "mail_body", "form_data", "form_data.city", "post_content", "content_html",
        "raw_body", "mail_subject", "email.subject", "form.first_name", "request.body.phone", "comment_text",
    ])
    func body(_ name: String) { #expect(NameMeaning(name).text == .body) }

    @Test(arguments: [
        "content_type", "contentLength", "content_length", "body_bytes", "body_size", "body_hash", "form_id",
        "contact_form", "html_errors", "form.id", "form.plugin", "body.length", "request_body_bytes", "mixed_content",
        "somebody", "discontent", "platform", "format", "information", "content_encoding", "message", "comment",
        "title",
        "page", "namespace", "payload.success", "payload",
    ])
    func noBody(_ name: String) { #expect(NameMeaning(name).text == nil) }

    @Test(arguments: [
        "sql", "db_dump", "dump", "rows", "result_set", "last_sql", "sql.params", "db_rows", "table_data",
    ])
    func database(_ name: String) { #expect(NameMeaning(name).text == .database) }

    @Test(arguments: [
        "sql_mode", "sql_state", "row_count", "rows_affected", "affected_rows", "dump_size", "query",
        "query_hash", "db_queries", "table", "db_version", "mysql_version", "max_rows",
    ])
    func noDatabase(_ name: String) { #expect(NameMeaning(name).text == nil) }

    @Test func numbersAndBooleans() {
        #expect(NameMeaning("password").number == .credential)
        #expect(NameMeaning("otp").number == .credential)
        #expect(NameMeaning("session").number == .credential)
        for name in ["tokens", "failed_password", "cookies", "email", "body", "rows", "pass", "content"] {
            #expect(NameMeaning(name).number == nil, "\(name)")
        }
        for name in ["password", "token", "cookie", "email", "session"] { #expect(NameMeaning(name).bool == nil) }
        // Below a form everything is somebody's answer.
        #expect(NameMeaning("form_data.age").number == .body)
        #expect(NameMeaning("form_data.agreed").bool == .body)
    }

    @Test func usesOfNames() {
        for name in [
            "path", "url", "request_uri", "referrer", "http.referer", "page_url", "location", "url.full", "paths",
        ] {
            #expect(NameMeaning(name).path == .yes, "\(name)")
        }
        for name in ["page", "route", "target", "endpoint"] { #expect(NameMeaning(name).path == .ifLooking, "\(name)") }
        for name in ["comment", "message", "user_agent", "query", "curl_version", "pathology"] {
            #expect(NameMeaning(name).path == .no, "\(name)")
        }
        for name in ["query_string", "queryString", "url.query"] { #expect(NameMeaning(name).text == .queryString) }
        for name in [
            "ip", "client_ip", "clientIP", "remote_addr", "x-forwarded-for", "forwarded_for", "actor.ip", "ipAddress",
        ] {
            #expect(NameMeaning(name).isAddress, "\(name)")
        }
        for name in ["zip", "ship", "description", "host", "ip_anon", "script"] {
            #expect(!NameMeaning(name).isAddress, "\(name)")
        }
        for name in ["user_agent", "userAgent", "useragent", "http.user-agent", "ua"] {
            #expect(NameMeaning(name).isUserAgent)
        }
    }

    @Test func words() {
        #expect(NameWords.parts("user.accessToken") == [["user"], ["access", "token"]])
        #expect(NameWords.parts("x-API_Key2") == [["x", "api", "key"]])
        #expect(NameWords.parts("HTTPSProxyURL") == [["https", "proxy", "url"]])
        #expect(NameWords.parts("..a..1.") == [["a"]])
        #expect(NameWords.parts("") == [])
        #expect(NameWords.parts("ÜberPass") == [["Über", "pass"]] || NameWords.parts("ÜberPass").count == 1)
    }
}

// The preset dictionary of `PackCodec.lz4Preset`: words that logs of web sites share, whoever writes them.
// It is part of the format: its bytes never change. Another dictionary is another codec number.

enum PresetDictionary {
    /// Set once, never written again.
    nonisolated(unsafe) static let bytes: UnsafeBufferPointer<CChar> = {
        let text = Array(words.utf8)
        let memory = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
        for (index, byte) in text.enumerated() { memory[index] = CChar(bitPattern: byte) }
        return UnsafeBufferPointer(start: memory, count: text.count)
    }()

    private static let words = """
        text/html; charset=utf-8application/jsonimage/pngContent-TypePUTDELETEPATCHOPTIONSHEADPOSTGET/HTTP/1.1\
        /wp-content/uploads//wp-includes/js/jquery/jquery.min.js/wp-content/plugins//wp-content/themes/style.css\
        /wp-json/wp/v2/posts/wp-admin/admin-ajax.php/wp-cron.php/xmlrpc.php/wp-login.php/favicon.ico/robots.txt\
        Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)Mozilla/5.0 (Windows NT 10.0; \
        Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36
        """
}

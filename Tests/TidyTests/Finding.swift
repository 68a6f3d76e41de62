/// Something a rule objects to, with the way out of it.
struct Finding: Equatable, CustomStringConvertible {
    let path: String
    /// 1-based; 0 when the whole file is meant.
    let line: Int
    let message: String

    var description: String { line > 0 ? "\(path):\(line): \(message)" : "\(path): \(message)" }
}

/// A Swift file with what the rules need of it, computed once.
struct SwiftFile {
    let path: String
    let room: String
    let text: SwiftText
    let tokens: [Token]

    init(path: String, content: String) {
        self.path = path
        room = Repository.File(path: path, content: "").room
        text = SwiftText(content)
        tokens = Token.all(in: text.code)
    }

    func finding(at token: Token, _ message: String) -> Finding {
        Finding(path: path, line: text.line(at: token.offset), message: message)
    }
}

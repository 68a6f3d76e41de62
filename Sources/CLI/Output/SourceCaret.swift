/// A line of a text and a caret under one place of it: how errors of a query show what is meant.

package struct SourceCaret: Sendable {
    /// The line, and the caret under its place; both indented by two.
    package let lines: [String]

    private static let indent = "  "

    /// - Parameter offset: bytes of UTF-8 from the text's start; beyond its end means the end.
    package init(_ text: String, offset: Int, width: Int, unicode: Bool = true) {
        let bytes = Array(text.utf8)
        let place = min(max(0, offset), bytes.count)
        let start = (bytes[..<place].lastIndex(of: 0x0A) ?? -1) + 1
        let end = bytes[place...].firstIndex(of: 0x0A) ?? bytes.count
        let before = SourceCaret.cells(bytes[start..<place])
        let after = SourceCaret.cells(bytes[place..<end])
        let room = max(10, width - SourceCaret.indent.count)
        let mark = unicode ? "…" : "~"
        var left = before[...]
        var right = after[...]
        // The caret needs a column even at the line's end.
        if SourceCaret.columns(left) + max(1, SourceCaret.columns(right)) > room {
            let leftRoom = max(room / 2, room - max(1, SourceCaret.columns(right)))
            if SourceCaret.columns(left) > leftRoom {
                while !left.isEmpty, SourceCaret.columns(left) > leftRoom - 1 { left.removeFirst() }
                left = ([mark] + left)[...]
            }
            let rightRoom = room - SourceCaret.columns(left)
            if SourceCaret.columns(right) > rightRoom {
                while !right.isEmpty, SourceCaret.columns(right) > rightRoom - 1 { right.removeLast() }
                right.append(mark)
            }
        }
        let blanks = String(repeating: " ", count: SourceCaret.columns(left))
        lines = [
            SourceCaret.indent + left.joined() + right.joined(), SourceCaret.indent + blanks + "^",
        ]
    }

    private static func cells(_ bytes: ArraySlice<UInt8>) -> [String] {
        String(decoding: bytes, as: UTF8.self).filter { $0 != "\r" && $0 != "\r\n" }.map {
            $0 == "\t" ? " " : TextLayout.harmless(String($0))
        }
    }

    private static func columns(_ cells: ArraySlice<String>) -> Int { cells.reduce(0) { $0 + TextLayout.width($1) } }
}

/// Charts as they are drawn: whole pictures, with and without colours and Unicode.

import EventStoreCLI
import Foundation
import Testing

@Suite("Chart drawings")
struct ChartDrawingTests {
    /// 2026-11-23T00:00Z, twelve bars of two hours, two series.
    private static func data(_ series: [ChartSeries]) throws -> ChartData {
        let start: Int64 = 1_795_392_000_000
        let grid = try #require(
            ChartGrid(range: start..<(start + 86_400_000), bucket: .fixed(7_200_000), zone: .gmt))
        return ChartData(grid: grid, series: series)
    }

    private static let requests = ChartSeries(name: "http.request", counts: [4, 2, 0, 1, 8, 16, 20, 24, 18, 12, 8, 6])
    private static let logins = ChartSeries(name: "auth.attempt", counts: [0, 0, 0, 0, 2, 4, 4, 0, 6, 12, 0, 1])

    private func drawing(_ series: [ChartSeries], _ style: ChartStyle) throws -> String {
        ChartRenderer(try Self.data(series), style: style, zone: .gmt).text(title: "123 events per 2 h")
    }

    @Test func oneSeriesIsExactToAnEighth() throws {
        #expect(
            try drawing([Self.requests], ChartStyle(width: 56, height: 6))
                == """
                123 events per 2 h
                    24 ┤                            ███
                       │                        ███ ███ ▄▄▄
                    16 ┤                    ███ ███ ███ ███
                       │                    ███ ███ ███ ███ ███
                     8 ┤                ███ ███ ███ ███ ███ ███ ███ ▄▄▄
                       │███ ▄▄▄     ▂▂▂ ███ ███ ███ ███ ███ ███ ███ ███
                     0 └┴───────────┴───────────┴───────────┴───────────
                        Nov 23      06:00       12:00       18:00

                        ██ http.request  119  100.0 %

                """)
    }

    @Test func seriesAreShadesWithoutColours() throws {
        #expect(
            try drawing([Self.requests, Self.logins], ChartStyle(width: 56, height: 6))
                == """
                123 events per 2 h
                    24 ┤                        ▓▓▓ ███ ▓▓▓ ▓▓▓
                       │                    ▓▓▓ ███ ███ ███ ▓▓▓
                    16 ┤                    ███ ███ ███ ███ ▓▓▓
                       │                ▓▓▓ ███ ███ ███ ███ ███
                     8 ┤                ███ ███ ███ ███ ███ ███ ███ ███
                       │███ ███     ███ ███ ███ ███ ███ ███ ███ ███ ███
                     0 └┴───────────┴───────────┴───────────┴───────────
                        Nov 23      06:00       12:00       18:00

                        ██ http.request  119   80.4 %
                        ▓▓ auth.attempt   29   19.6 %

                """)
    }

    @Test func seriesAreLettersWithoutUnicode() throws {
        let text = try drawing([Self.requests, Self.logins], ChartStyle(width: 56, height: 6, unicode: false))
        #expect(
            text
                == """
                123 events per 2 h
                    24 +                        +++ ### +++ +++
                       |                    +++ ### ### ### +++
                    16 +                    ### ### ### ### +++
                       |                +++ ### ### ### ### ###
                     8 +                ### ### ### ### ### ### ### ###
                       |### ###     ### ### ### ### ### ### ### ### ###
                     0 ++-----------+-----------+-----------+-----------
                        Nov 23      06:00       12:00       18:00

                        ## http.request  119   80.4 %
                        ++ auth.attempt   29   19.6 %

                """)
        #expect(text.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test func narrowTerminals() throws {
        #expect(
            try drawing([Self.requests, Self.logins], ChartStyle(width: 30, height: 4))
                == """
                123 events per 2 h
                    32 ┤
                    24 ┤     ▓██▓▓
                    16 ┤     █████
                     8 ┤██ █████████
                     0 └┴───────────
                        Nov 23

                ██ http.request  119   80.4 %
                ▓▓ auth.attempt   29   19.6 %

                """)
    }

    @Test func seriesSideBySide() throws {
        #expect(
            try drawing([Self.requests, Self.logins], ChartStyle(width: 72, height: 4, grouped: true))
                == """
                123 events per 2 h
                    32 ┤
                    24 ┤                              ██   ██
                    16 ┤                         ██   ██   ██   ██   ██▓▓
                     8 ┤██   ██        ██   ██▓▓ ██▓▓ ██▓▓ ██   ██▓▓ ██▓▓ ██   ██▓▓
                     0 └┴──────────────┴──────────────┴──────────────┴──────────────
                        Nov 23         06:00          12:00          18:00

                        ██ http.request  119   80.4 %  peak 24  Nov 23 14:00
                        ▓▓ auth.attempt   29   19.6 %  peak 12  Nov 23 18:00

                """)
    }

    @Test("With colours, a character can hold two series, and each colour is ended")
    func colours() throws {
        let text = try drawing([Self.requests, Self.logins], ChartStyle(width: 56, height: 6, colours: true))
        #expect(text.contains("\u{1b}[38;5;75;48;5;214m▄▄▄\u{1b}[0m"))
        let parts = text.components(separatedBy: "\u{1b}[")
        #expect(parts.count(where: { $0.hasPrefix("38;5;") }) == parts.count(where: { $0.hasPrefix("0m") }))
        for line in text.split(separator: "\n") where line.contains("\u{1b}") {
            #expect(line.hasSuffix("m") || line.hasSuffix("%"))
        }
    }

    @Test func aSingleEventCanBeSeen() throws {
        var counts = [Int](repeating: 0, count: 12)
        counts[3] = 100_000
        counts[7] = 1
        let text = try drawing([ChartSeries(name: "x", counts: counts)], ChartStyle(width: 56, height: 6))
        #expect(text.contains("▁▁▁"))
    }

    @Test func namesFromStrangersAreHarmless() throws {
        let series = ChartSeries(name: "\u{1b}[2Jgone\u{202e}", counts: [Int](repeating: 1, count: 12))
        let text = try drawing([series], ChartStyle(width: 60, height: 4))
        #expect(!text.unicodeScalars.contains("\u{1b}"))
        #expect(text.contains(#"\u{1b}[2Jgone\u{202e}"#))
    }

    @Test("No line is wider than asked for, whatever the size")
    func widths() throws {
        let names = (0..<9).map { "a rather long name of series number \($0)" }
        let series = names.map { ChartSeries(name: $0, counts: (0..<12).map { $0 * 31 % 17 }) }
        for (width, grouped) in [30, 40, 56, 64, 80, 200].flatMap({ [($0, false), ($0, $0 > 110)] }) {
            for height in [2, 3, 5, 12, 50] {
                let data = try Self.data(series).top()
                let style = ChartStyle(width: width, height: height, grouped: grouped)
                let text = ChartRenderer(data, style: style, zone: .gmt).text(title: "a title")
                for line in text.split(separator: "\n") {
                    #expect(TextLayout.width(String(line)) <= width, "\(width)×\(height): \(line)")
                }
            }
        }
    }
}

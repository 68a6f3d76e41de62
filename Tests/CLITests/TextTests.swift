/// Text on a terminal: widths, cutting, numbers, colours, progress.

import EventStoreCLI
import Testing

@Suite("Text layout")
struct TextTests {
    @Test func widths() {
        #expect(TextLayout.width("abc") == 3)
        #expect(TextLayout.width("é") == 1)
        #expect(TextLayout.width("e\u{301}") == 1)
        #expect(TextLayout.width("日本") == 4)
        #expect(TextLayout.width("😀") == 2)
        #expect(TextLayout.width("a\u{200d}") == 1)
    }

    @Test func cutting() {
        #expect(TextLayout.cut("abcdef", to: 6) == "abcdef")
        #expect(TextLayout.cut("abcdef", to: 4) == "abc…")
        #expect(TextLayout.cut("abcdef", to: 4, unicode: false) == "abc~")
        #expect(TextLayout.cut("日本語", to: 4) == "日…")
        #expect(TextLayout.cut("abc", to: 0) == "")
    }

    @Test func padding() {
        #expect(TextLayout.padded("日", to: 4) == "日  ")
        #expect(TextLayout.padded("7", to: 3, right: true) == "  7")
        #expect(TextLayout.padded("long", to: 2) == "long")
    }

    @Test func numbers() {
        #expect(TextLayout.grouped(0) == "0")
        #expect(TextLayout.grouped(999) == "999")
        #expect(TextLayout.grouped(1000) == "1,000")
        #expect(TextLayout.grouped(-1_234_567) == "-1,234,567")
        #expect(TextLayout.grouped(.min) == "-9,223,372,036,854,775,808")
        #expect(TextLayout.decimal(1.005, 1) == "1.0")
        #expect(TextLayout.decimal(-0.04, 1) == "0.0")
        #expect(TextLayout.decimal(2.5, 0) == "3")
        #expect(TextLayout.bytes(999) == "999 B")
        #expect(TextLayout.bytes(41_500_000) == "41.5 MB")
        #expect(TextLayout.bytes(1_000_000_000_000) == "1.0 TB")
    }

    @Test func coloursFollowTheEnvironment() {
        #expect(Terminal.colours(environment: [:], isTerminal: true))
        #expect(!Terminal.colours(environment: [:], isTerminal: false))
        #expect(!Terminal.colours(environment: ["NO_COLOR": "1"], isTerminal: true))
        #expect(Terminal.colours(environment: ["NO_COLOR": ""], isTerminal: true))
        #expect(!Terminal.colours(environment: ["NO_COLOR": "1", "CLICOLOR_FORCE": "1"], isTerminal: false))
        #expect(Terminal.colours(environment: ["CLICOLOR_FORCE": "1"], isTerminal: false))
        #expect(!Terminal.colours(environment: ["TERM": "dumb"], isTerminal: true))
    }

    @Test func unicodeFollowsTheLocale() {
        #expect(Terminal.unicode(environment: [:]))
        #expect(Terminal.unicode(environment: ["LANG": "de_DE.UTF-8"]))
        #expect(!Terminal.unicode(environment: ["LANG": "C"]))
        #expect(!Terminal.unicode(environment: ["LC_ALL": "POSIX", "LANG": "C.UTF-8"]))
        #expect(Terminal.unicode(environment: ["LC_ALL": "", "LANG": "C.utf8"]))
    }

    @Test func progress() {
        #expect(
            ProgressText.line("importing", share: 0.25, events: 1_000_000, bytes: 400_000_000, elapsed: 2)
                == "importing: 25 %, 1,000,000 events, 500,000/s, 200.0 MB/s, 6 s left")
        #expect(ProgressText.line("verifying", share: 1, elapsed: 3) == "verifying: 100 %")
        #expect(ProgressText.line("importing", share: nil, events: 5, bytes: 10, elapsed: 0) == "importing: 5 events")
        #expect(ProgressText.duration(7.2) == "8 s")
        #expect(ProgressText.duration(200) == "3 min 20 s")
        #expect(ProgressText.duration(7500) == "2 h 5 min")
    }
}

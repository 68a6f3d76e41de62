import Testing

/// The scanner under the rules: what is code, what is not, where a function ends.
@Suite("Scanner")
struct ScannerTests {
    private func code(_ source: String) -> [String] { Token.all(in: SwiftText(source).code).map(\.text) }

    private func functions(_ source: String) -> [String] {
        FunctionScanner.functions(in: SwiftText(source)).map { "\($0.name) \($0.line)+\($0.lineCount)" }
    }

    @Test("Comments and the text of strings are not code")
    func blanks() {
        #expect(code("a // b\nc /* d /* e */ f */ g") == ["a", "c", "g"])
        #expect(code(#"x = "try! { \" }" + y"#) == ["x", "=", "\"", "\"", "+", "y"])
        #expect(code("x = \"\"\"\n  } \" \"\" \\\"\"\"\n  \"\"\" + y") == ["x", "=", "\"", "\"", "+", "y"])
        #expect(code(##"x = #"a " \( b \n"# + y"##) == ["x", "=", "\"", "\"", "+", "y"])
        #expect(code(##"x = #"""# + y"##) == ["x", "=", "\"", "\"", "+", "y"])
        #expect(code(##"x = #/ " \/ { /# + y"##) == ["x", "=", "+", "y"])
        #expect(code("\"\" + \"\"") == ["\"", "\"", "+", "\"", "\""])
        #expect(code("\"//\" + /* \" */ y") == ["\"", "\"", "+", "y"])
    }

    @Test("Interpolated code is code, to any depth")
    func interpolation() {
        #expect(
            code(#""a \(b("c \(d) e")) f" + g"#) == [
                "\"", "(", "b", "(", "\"", "(", "d", ")", "\"", ")", ")", "\"", "+", "g",
            ])
        #expect(code(##"#"a \(b) \#(c) d"# + e"##) == ["\"", "(", "c", ")", "\"", "+", "e"])
    }

    @Test("An unterminated string ends at its line")
    func resynchronises() { #expect(code("a \"b\nc") == ["a", "\"", "c"]) }

    @Test("Comments keep their lines")
    func comments() {
        let text = SwiftText("let a = 1  // one\n/* two\nthree */ let b = \"// no\"\n")
        #expect(text.lineCount == 3)
        #expect(text.commentLine(1) == "// one")
        #expect(text.commentLine(3) == "three */")
        #expect(text.codeLine(3).hasPrefix("let b ="))
    }

    @Test("Functions, initializers, subscripts and computed properties have a length")
    func functionLengths() {
        #expect(functions("func a() {\n}\n") == ["a() 1+2"])
        #expect(
            functions("  func a(\n b: Int,\n _ c: [Int] = { [1] }()\n ) throws(E) -> Int {\n 1 }") == ["a(b:_:) 1+5"])
        #expect(functions("func map<T: P, U>(_ f: (T, U) -> U, by n: D<T, U>) {}") == ["map(_:by:) 1+1"])
        #expect(functions("static func < (a: K, b: K) -> Bool { true }") == ["<(a:b:) 1+1"])
        #expect(functions("init?(x: Int) { self.init(y: x) }\ndeinit {\n}") == ["init(x:) 1+1", "deinit 2+2"])
        #expect(functions("subscript(i: Int) -> Int { get { 1 }\n set { } }") == ["subscript(i:) 1+2"])
        #expect(functions("var a: Int { 1 }\nvar b: Int = 2\nvar c: Int\nif x { }") == ["a 1+1"])
    }

    @Test("A requirement without a body does not take the next brace")
    func requirements() {
        #expect(
            functions("protocol P {\n func a() throws\n func b()\n}\nextension P {\n func c() {}\n}") == ["c() 6+1"])
        #expect(functions("protocol P { init(a: Int) }\nstruct S { func d() {} }") == ["d() 2+1"])
    }

    @Test("Braces in strings and comments do not end a function, nested functions count in both")
    func bracesElsewhere() {
        #expect(functions("func a() {\n let b = \"}\" // }\n /* } */\n}\n") == ["a() 1+4"])
        #expect(functions("func a() {\n func b() {\n }\n}\n") == ["a() 1+4", "b() 2+2"])
        #expect(functions("func a() {\n let b = \"\\(c.map { \"}\" })\"\n}\n") == ["a() 1+3"])
    }
}

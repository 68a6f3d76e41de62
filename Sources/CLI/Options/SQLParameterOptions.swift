/// `--param`: values of the `:NAME`s of a query.

import ArgumentParser
import EventStore

struct SQLParameterOptions: ParsableArguments {
    @Option(
        name: .customLong("param"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Value of :NAME. Numbers, true, false and null are what they look like, the rest is text; quotes or "
                + "NAME:text=VALUE force text, NAME:time=VALUE takes a time as --since does.",
            valueName: "name=value"))
    var parameters: [String] = []

    func values(_ time: TimeOptions) throws -> [String: QueryValue] {
        var values: [String: QueryValue] = [:]
        let (now, zone) = (time.nowMs, time.zone)
        for text in parameters {
            let parameter: SQLParameter
            do throws(SQLParameter.Problem) {
                parameter = try SQLParameter(parsing: text) { TimeExpression.parse($0, nowMs: now, zone: zone) }
            } catch { throw CLIFailure.usage("--param \(error.message)") }
            guard values.updateValue(parameter.value, forKey: parameter.name) == nil else {
                throw CLIFailure.usage("--param \(parameter.name) is given twice")
            }
        }
        return values
    }
}

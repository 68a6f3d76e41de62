// Answers of the store and of the reference, and how they are got.

import EventStore

/// Rows, or why there are none.
enum Answer {
    case rows([[Cell]])
    case failure(String)

    var rows: [[Cell]]? { if case .rows(let rows) = self { rows } else { nil } }
    var failure: String? { if case .failure(let text) = self { text } else { nil } }
}

struct StoreAnswer {
    var answer: Answer
    var isNative = false
    var names: [String] = []
}

/// What the reference gives for a question: all rows without LIMIT, with order keys and bounds behind the items.
struct Expected {
    var answer: Answer
    var names: [String] = []
}

extension DataSet {
    func ask(_ writer: SQLWriter) -> StoreAnswer { ask(writer.sql, writer.parameters) }

    func ask(_ sql: String, _ parameters: [String: QueryValue]) -> StoreAnswer {
        do {
            let cursor = try store.query(sql, parameters: parameters)
            let columns = cursor.columns.count
            var rows: [[Cell]] = []
            while let batch = try cursor.nextBatch() {
                for row in 0..<batch.count { rows.append((0..<columns).map { Cell(batch[row, $0]) }) }
            }
            let statistics = cursor.statistics
            return StoreAnswer(
                answer: .rows(rows), isNative: statistics.isNative, names: cursor.columns.map(\.name))
        } catch {
            return StoreAnswer(answer: .failure(error.description))
        }
    }

    func expected(_ question: Question, _ dialect: Dialect = .reference) -> Expected {
        let text = question.writtenForChecks(dialect).sql
        do {
            let statement = try reference.connection.prepare(text)
            var rows: [[Cell]] = []
            while try statement.step() { rows.append(statement.row()) }
            return Expected(answer: .rows(rows), names: (0..<statement.columnCount).map(statement.columnName))
        } catch {
            return Expected(answer: .failure("\(error)"))
        }
    }

    /// What the reference says of a predicate and one event.
    func truth(_ predicate: Fragment, _ row: Int) -> Truth? {
        var writer = SQLWriter(.reference)
        writer.write("SELECT (")
        writer.write(predicate)
        writer.write(") IS TRUE, (")
        writer.write(predicate)
        writer.write(") IS NULL FROM events WHERE number = \(row)")
        guard let row = try? reference.connection.rows(writer.sql).first else { return nil }
        return row[0] == .integer(1) ? .yes : row[1] == .integer(1) ? .unknown : .no
    }
}

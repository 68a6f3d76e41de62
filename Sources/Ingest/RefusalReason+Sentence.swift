// One sentence a reason, for people. Names fields and limits, never a value of an event.

import EventStoreCore

extension RefusalReason {
    var sentence: String {
        switch self {
        case .badJSON: "not a JSON object as RFC 8259 defines it"
        case .badUTF8: "not UTF-8"
        case .badCSV: "not a record as RFC 4180 and the header define it"
        case .badLogLine: "not a line of this log format"
        case .lineTooLong: "longer than \(Limits.lineBytesMax) bytes"
        case .tooDeep: "nested deeper than \(Limits.jsonDepthMax)"
        case .noEntity: "no \"entity\", and no default was given"
        case .badEntity: "\"entity\" is not a text of 1 to \(Limits.entityNameBytesMax) bytes"
        case .noType: "no \"event_type\" or \"type\""
        case .badType: "the event's type is not a text of 1 to \(Limits.typeNameBytesMax) bytes"
        case .badID: "the event's id is neither text nor a whole number"
        case .noTimestamp: "no \"timestamp\""
        case .badTimestamp: "\"timestamp\" is neither a number nor an RFC 3339 time"
        case .timestampWithoutZone: "\"timestamp\" has no zone, and no input time zone was given"
        case .futureTimestamp: "\"timestamp\" lies too far in the future"
        case .integerRange: "a whole number beyond 64 bits"
        case .numberRange: "a number beyond the range of a double"
        case .badValue: "a value is not what its column says"
        case .attributeName: "an attribute's name is empty or longer than \(Limits.attributeNameBytesMax) bytes"
        case .tooManyAttributes: "more than \(Limits.attributesPerEventMax) attributes"
        case .valueTooLong: "a value is longer than \(Limits.valueBytesMax) bytes"
        case .eventTooLarge: "larger than \(Limits.eventBytesMax) bytes"
        }
    }
}

// The tables of catalog.db, version 2, and how version 1 becomes it. docs/format/catalog.md says what every
// column means.

enum CatalogSchema {
    static let formatVersion = 2
    /// Version 2 added plans, the audit chain, receipts, documents, tallies and what is gone of segments.
    static let versionOfLifecycle = 2
    static let pageBytes = 4096
    /// "EvSt": the application id in SQLite's header.
    static let applicationID = 0x4576_5374

    /// `settings` is written once; `state` is one row that every commit rewrites.
    static let tables =
        [
            """
            CREATE TABLE settings (
              one INTEGER PRIMARY KEY, format_version INTEGER NOT NULL, store_id BLOB NOT NULL,
              incarnation INTEGER NOT NULL, partition INTEGER NOT NULL, shared_by_entities_min INTEGER NOT NULL,
              default_plan TEXT NOT NULL, created_ms INTEGER NOT NULL)
            """,
            """
            CREATE TABLE state (
              one INTEGER PRIMARY KEY, next_sequence INTEGER NOT NULL, keyring_generation INTEGER NOT NULL,
              changes INTEGER NOT NULL, segment_changes INTEGER NOT NULL, name_changes INTEGER NOT NULL,
              next_segment INTEGER NOT NULL)
            """,
            """
            CREATE TABLE entity (
              number INTEGER PRIMARY KEY, key_id INTEGER NOT NULL, sealed_name BLOB NOT NULL, tag BLOB NOT NULL,
              created_ms INTEGER NOT NULL, plan TEXT NOT NULL, state INTEGER NOT NULL, floor_ms INTEGER NOT NULL,
              days INTEGER NOT NULL DEFAULT 0, erase_at_ms INTEGER NOT NULL DEFAULT 0)
            """,
            "CREATE UNIQUE INDEX entity_tag ON entity (tag)",
            """
            CREATE TABLE name (
              kind INTEGER NOT NULL, number INTEGER NOT NULL, tag BLOB NOT NULL, shared BLOB,
              PRIMARY KEY (kind, number)) WITHOUT ROWID
            """,
            "CREATE UNIQUE INDEX name_tag ON name (kind, tag)",
            """
            CREATE TABLE holder (
              kind INTEGER NOT NULL, name INTEGER NOT NULL, entity INTEGER NOT NULL, sealed BLOB NOT NULL,
              PRIMARY KEY (kind, name, entity)) WITHOUT ROWID
            """,
            """
            CREATE TABLE journal (
              first_sequence INTEGER PRIMARY KEY, rows INTEGER NOT NULL, received_ms INTEGER NOT NULL,
              blob BLOB NOT NULL)
            """,
            """
            CREATE TABLE batch (
              scope INTEGER NOT NULL, tag BLOB NOT NULL, body_hash BLOB NOT NULL, received_ms INTEGER NOT NULL,
              answer BLOB NOT NULL, PRIMARY KEY (scope, tag)) WITHOUT ROWID
            """,
            "CREATE INDEX batch_received ON batch (received_ms)",
            """
            CREATE TABLE segment (
              number INTEGER PRIMARY KEY, id BLOB NOT NULL, partition_start INTEGER NOT NULL,
              partition_ms INTEGER NOT NULL, rows INTEGER NOT NULL, file_bytes INTEGER NOT NULL,
              min_time INTEGER NOT NULL, max_time INTEGER NOT NULL, sequence_base INTEGER NOT NULL,
              min_sequence INTEGER NOT NULL, max_sequence INTEGER NOT NULL, level INTEGER NOT NULL,
              state INTEGER NOT NULL, retention_days INTEGER NOT NULL, types BLOB NOT NULL, attributes BLOB NOT NULL)
            """,
            """
            CREATE TABLE segment_entity (
              segment INTEGER NOT NULL, entity INTEGER NOT NULL, part BLOB NOT NULL,
              PRIMARY KEY (segment, entity)) WITHOUT ROWID
            """,
            "CREATE INDEX entity_segment ON segment_entity (entity, segment)",
            """
            CREATE TABLE entity_day (
              day INTEGER NOT NULL, entity INTEGER NOT NULL, rows INTEGER NOT NULL,
              PRIMARY KEY (day, entity)) WITHOUT ROWID
            """,
            """
            CREATE TABLE type_day (
              day INTEGER NOT NULL, type INTEGER NOT NULL, rows INTEGER NOT NULL,
              PRIMARY KEY (day, type)) WITHOUT ROWID
            """,
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        ] + lifecycleTables

    /// What version 1 did not have.
    static let lifecycleTables =
        [
            "CREATE TABLE plan (name TEXT PRIMARY KEY, days INTEGER NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE audit (
              number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, body BLOB NOT NULL, mac BLOB NOT NULL)
            """,
            """
            CREATE TABLE receipt (
              number INTEGER PRIMARY KEY, entity INTEGER NOT NULL, time_ms INTEGER NOT NULL, body BLOB NOT NULL,
              signature BLOB NOT NULL)
            """,
            "CREATE TABLE document (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE tally (
              entity INTEGER PRIMARY KEY, last_event_ms INTEGER NOT NULL, last_received_ms INTEGER NOT NULL,
              refused INTEGER NOT NULL, expired INTEGER NOT NULL)
            """,
            """
            CREATE TABLE gone (
              segment INTEGER NOT NULL, entity INTEGER NOT NULL, rows INTEGER NOT NULL, ranges BLOB NOT NULL,
              freed INTEGER NOT NULL, PRIMARY KEY (segment, entity)) WITHOUT ROWID
            """,
        ] + keyTables + [arrived, segmentDays]

    /// Came later within version 2: without them, as without rows in them, every part has its entity's key.
    static let keyTables = [
        """
        CREATE TABLE retired_key (
          key_id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, generation INTEGER NOT NULL,
          retired_ms INTEGER NOT NULL, destroyed_ms INTEGER NOT NULL)
        """,
        """
        CREATE TABLE part_key (
          segment INTEGER NOT NULL, entity INTEGER NOT NULL, key_id INTEGER NOT NULL,
          PRIMARY KEY (segment, entity)) WITHOUT ROWID
        """,
        "CREATE INDEX part_key_key ON part_key (key_id)",
    ]

    /// Written only where a day's budget is set; catalogs of version 2 made before it existed get it then.
    static let arrived = """
        CREATE TABLE IF NOT EXISTS arrived (
          entity INTEGER PRIMARY KEY, day INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL)
        """

    /// Only of segments of partitions longer than a day; without a row the days are counted from the events' times.
    static let segmentDays = """
        CREATE TABLE IF NOT EXISTS segment_day (segment INTEGER PRIMARY KEY, days BLOB NOT NULL)
        """

    /// Version 1 to version 2, within the transaction of the caller.
    static let upgradeFromFirst =
        [
            "ALTER TABLE entity ADD COLUMN days INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE entity ADD COLUMN erase_at_ms INTEGER NOT NULL DEFAULT 0",
        ] + lifecycleTables
}

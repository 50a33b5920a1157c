-- The whole append, in one statement and so in one transaction and one round trip.
-- Partitions:  $1 numbers, $2 believed epochs, $3 believed heads, $4 new heads
-- Events:      $5 … $24, one array per column
-- Timers set:  $25 partitions, $26 streams, $27 due.   Timers cleared: $28 partitions, $29 streams
-- Notes:       $30 partitions, $31 event ids, $32 texts
-- New kinds:   $33 partitions, $34 kinds, $35 versions, $36 positions
WITH wanted AS (
    SELECT * FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[]) AS w (partition, epoch, head, new_head)
), locked AS MATERIALIZED (
    -- In ascending order, so that two writers never wait for each other in a circle.
    SELECT p.partition, w.new_head
      FROM log.partitions p JOIN wanted w ON w.partition = p.partition AND w.epoch = p.epoch AND w.head = p.head
     ORDER BY p.partition
       FOR UPDATE OF p
), raised AS (
    UPDATE log.partitions p SET head = l.new_head FROM locked l WHERE p.partition = l.partition RETURNING p.partition
), written AS (
    INSERT INTO log.events
          (partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload)
    SELECT e.partition, e.position, e.stream, e.version, e.kind, e.schema, e.codec, e.event_id, e.command, e.correlation, e.causation,
       e.principal, e.owner, e.epoch, e.node, e.at, e.recorded_at, e.unit_last, e.chain, e.payload
      FROM unnest($5::int4[], $6::int8[], $7::text[], $8::int8[], $9::text[], $10::int2[], $11::int2[], $12::uuid[],
                  $13::bytea[], $14::uuid[], $15::uuid[], $16::text[], $17::text[], $18::int8[], $19::text[],
                  $20::timestamptz[], $21::timestamptz[], $22::bool[], $23::bytea[], $24::bytea[])
        AS e (partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload)
      JOIN raised r ON r.partition = e.partition
), timers_set AS (
    INSERT INTO log.timers (partition, stream, due)
    SELECT t.partition, t.stream, t.due
      FROM unnest($25::int4[], $26::text[], $27::timestamptz[]) AS t (partition, stream, due)
      JOIN raised r ON r.partition = t.partition
    ON CONFLICT (partition, stream) DO UPDATE SET due = excluded.due
), timers_cleared AS (
    DELETE FROM log.timers t
     USING unnest($28::int4[], $29::text[]) AS c (partition, stream) JOIN raised r ON r.partition = c.partition
     WHERE t.partition = c.partition AND t.stream = c.stream
), notes_added AS (
    INSERT INTO log.notes (event_id, text)
    SELECT n.event_id, n.text
      FROM unnest($30::int4[], $31::uuid[], $32::text[]) AS n (partition, event_id, text)
      JOIN raised r ON r.partition = n.partition
), kinds_added AS (
    INSERT INTO log.kinds (kind, version, first_partition, first_position)
    SELECT k.kind, k.version, k.partition, k.position
      FROM unnest($33::int4[], $34::text[], $35::int2[], $36::int8[]) AS k (partition, kind, version, position)
      JOIN raised r ON r.partition = k.partition
    ON CONFLICT (kind, version) DO NOTHING
)
SELECT partition FROM raised

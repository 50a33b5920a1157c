-- Completed by rows of values, in the order of the columns.
INSERT INTO events
      (partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload)
VALUES

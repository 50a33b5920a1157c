-- $1 JSON array of [partition, stream, version after which to read, last version to read]
SELECT e.partition, e.position, e.stream, e.version, e.kind, e.schema, e.codec, e.event_id, e.command, e.correlation, e.causation,
       e.principal, e.owner, e.epoch, e.node, e.at, e.recorded_at, e.unit_last, e.chain, e.payload,
       q.key
  FROM json_each($1) AS q CROSS JOIN events AS e
 WHERE e.partition = json_extract(q.value, '$[0]')
   AND e.stream = json_extract(q.value, '$[1]')
   AND e.version > json_extract(q.value, '$[2]') AND e.version <= json_extract(q.value, '$[3]')
 ORDER BY q.key, e.version

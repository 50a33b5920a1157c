-- Filler rows for some partitions, as many for each, in the order of time.
-- Partitions: $1 numbers, $2 epochs, $3 heads, $4 the performance of this piece, $5 the coupon
-- $6 rows for each partition, $7 fillers that each has already, $8 when the first filler was written
-- Payloads:   $9 order.placed, $10 seat.held, $11 coupon.issued.   Versions of the kinds: $12, $13, $14
INSERT INTO log.events
      (partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload)
SELECT partition, position,
       CASE what WHEN 0 THEN 'order/o' || partition || '_' || left(hex, 32)
                 WHEN 1 THEN 'seat/' || performance || '/S-' || n % 20 || '-' || (n / 20)
                 ELSE 'coupon/' || coupon END,
       CASE what WHEN 2 THEN number / 3 + 1 ELSE 1 END,
       CASE what WHEN 0 THEN 'order.placed' WHEN 1 THEN 'seat.held' ELSE 'coupon.issued' END,
       CASE what WHEN 0 THEN $12::int2 WHEN 1 THEN $13::int2 ELSE $14::int2 END,
       1,
       event_id,
       CASE what WHEN 2 THEN substr(hash, 17, 16) ELSE substr(hash, 1, 16) END,
       event_id, NULL, 'bench-member-' || number, 'bench-seller', epoch, 'bench-00000000', at, at, what > 0, hash,
       CASE what WHEN 0 THEN $9::bytea WHEN 1 THEN $10::bytea ELSE $11::bytea END
  FROM (
    SELECT row.*, encode(hash, 'hex') AS hex,
           (lpad(to_hex((extract(epoch FROM at) * 1000)::int8), 12, '0') || '7' || lpad(to_hex(number % 4096), 3, '0') || '8'
            || substr(encode(hash, 'hex'), 40, 15))::uuid AS event_id
      FROM (
        -- Sorted while they are narrow.
        SELECT p.*, p.head + i AS position, $7::int8 + i - 1 AS number, ($7::int8 + i - 1) % 3 AS what, i / 3 AS n,
               $8::timestamptz + ($7::int8 + i - 1) / 3 * interval '1 ms' AS at,
               sha256(convert_to(p.partition || '/' || ($7::int8 + i - 1) / 3, 'UTF8')) AS hash
          FROM generate_series(1, $6::int8) AS i
         CROSS JOIN unnest($1::int4[], $2::int8[], $3::int8[], $4::text[], $5::text[])
               AS p (partition, epoch, head, performance, coupon)
         ORDER BY i, p.partition
      ) AS row
  ) AS filler

-- One command, one statement, one round trip. `kept`: an event log is kept beside the tables.
SET search_path = onsale_rival;

CREATE FUNCTION issue(coupon text, account text, task text, at_ bigint, command_ bytea, body_ bytea, first int, kept boolean,
    OUT outcome int, OUT o_serial bigint, OUT o_task text, OUT o_at bigint, OUT o_command bytea, OUT o_body bytea,
    OUT o_position bigint)
LANGUAGE plpgsql AS $$
DECLARE
    b int;
BEGIN
    SELECT i.serial, i.task_id, i.issued_at, i.command, i.body, i.position
      INTO o_serial, o_task, o_at, o_command, o_body, o_position
      FROM issues i WHERE i.coupon_id = coupon AND i.account_id = account;
    IF FOUND THEN
        outcome := 1;
        RETURN;
    END IF;
    -- A part chosen by chance is nearly always free; else any that is; else wait for one that is not empty.
    SELECT k.bucket, k.next INTO b, o_serial FROM buckets k
     WHERE k.coupon_id = coupon AND k.bucket = first AND k.next <= k.last FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT k.bucket, k.next INTO b, o_serial FROM buckets k
         WHERE k.coupon_id = coupon AND k.next <= k.last LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        SELECT k.bucket, k.next INTO b, o_serial FROM buckets k
         WHERE k.coupon_id = coupon AND k.next <= k.last LIMIT 1 FOR UPDATE;
    END IF;
    IF NOT FOUND THEN
        -- Unless the member got one of the last themselves, while this request waited.
        SELECT i.serial, i.task_id, i.issued_at, i.command, i.body, i.position
          INTO o_serial, o_task, o_at, o_command, o_body, o_position
          FROM issues i WHERE i.coupon_id = coupon AND i.account_id = account;
        outcome := CASE WHEN FOUND THEN 1 ELSE 2 END;
        RETURN;
    END IF;
    o_position := o_serial;
    IF kept THEN
        o_position := nextval('events_position_seq');
    END IF;
    INSERT INTO issues (coupon_id, account_id, serial, task_id, issued_at, command, body, position)
    VALUES (coupon, account, o_serial, task, at_, command_, body_, o_position)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        -- The same member at the same moment: the other one has it by now.
        SELECT 1, i.serial, i.task_id, i.issued_at, i.command, i.body, i.position
          INTO outcome, o_serial, o_task, o_at, o_command, o_body, o_position
          FROM issues i WHERE i.coupon_id = coupon AND i.account_id = account;
        RETURN;
    END IF;
    UPDATE buckets k SET next = k.next + 1 WHERE k.coupon_id = coupon AND k.bucket = b;
    IF kept THEN
        INSERT INTO events (position, stream, kind, at, principal, command, payload) OVERRIDING SYSTEM VALUE
        VALUES (o_position, coupon, 'coupon.issued', at_, account, command_, int8send(o_serial));
    END IF;
    outcome := 0;
    o_task := task;
    o_at := at_;
    o_command := command_;
    o_body := body_;
END $$;

-- All seats or none: whatever is in the way is an error, which takes everything back.
CREATE FUNCTION place(order_ text, performance text, account text, seats_ text[], at_ bigint, due_ bigint, command_ bytea,
    body_ bytea, placed_ bytea, kept boolean, OUT o_position bigint)
LANGUAGE plpgsql AS $$
DECLARE
    held int;
BEGIN
    INSERT INTO holds (performance_id, seat_id, order_id)
    SELECT performance, seat, order_ FROM unnest(seats_) AS seat
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held < cardinality(seats_) THEN
        RAISE EXCEPTION 'seats are taken' USING ERRCODE = 'ON409';
    END IF;
    o_position := 0;
    IF kept THEN
        INSERT INTO events (stream, kind, at, principal, command, payload)
        SELECT performance || '/' || seat, 'seat.held', at_, account, command_, convert_to(order_, 'UTF8')
          FROM unnest(seats_) AS seat;
        INSERT INTO events (stream, kind, at, principal, command, payload)
        VALUES (order_, 'order.placed', at_, account, command_, '')
        RETURNING position INTO o_position;
    END IF;
    INSERT INTO orders (order_id, performance_id, account_id, placed_at, body, placed, position)
    VALUES (order_, performance, account, at_, body_, placed_, o_position);
    INSERT INTO timers (due, order_id) VALUES (due_, order_);
END $$;

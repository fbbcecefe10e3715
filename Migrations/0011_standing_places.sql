-- Standing places are seats that nobody chooses: `NAME-0-1` to `NAME-0-CAPACITY`, in row 0, after the numbered seats.
-- So a place is sold once by the same index, fences and claims as a seat.

ALTER TABLE seats
    -- Never on sale while set: kept for the house, say. A blocked seat is shown as reserved.
    ADD COLUMN blocked    boolean NOT NULL DEFAULT false,
    -- For a wheelchair, say: chosen by name, or found when asked for.
    ADD COLUMN accessible boolean NOT NULL DEFAULT false;

-- Events that were made before standing places could be bought.
INSERT INTO seats (event_id, seat_id, section, row_number, seat_number, price, ordinal)
SELECT e.id, a.area ->> 'name' || '-0-' || n, a.area ->> 'name', 0, n, (a.area ->> 'price')::bigint,
       e.seat_count + row_number() OVER (PARTITION BY e.id ORDER BY a.place, n) - 1
FROM events e
CROSS JOIN LATERAL jsonb_array_elements(e.general_admission) WITH ORDINALITY AS a (area, place)
CROSS JOIN LATERAL generate_series(1, (a.area ->> 'capacity')::integer) AS n;

-- The layouts of those events have changed.
UPDATE events SET layout_version = layout_version + 1 WHERE general_admission <> '[]'::jsonb;

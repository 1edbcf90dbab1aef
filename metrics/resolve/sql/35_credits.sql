-- Who is credited with what happens to a deal, and in which team, at any instant (metrics.md 2.2): the responsible
-- person, as a person of that day in the team of that day; where splits.csv divides the deal, its split instead.

-- Identities and teams without gaps, so that overlapping with them loses nothing.
CREATE OR REPLACE TEMP TABLE whole_identity_spans AS
WITH turns AS (
    SELECT source, external_id, from_at AS turned_at FROM identity_spans
    UNION SELECT source, external_id, to_at FROM identity_spans
    UNION SELECT source, external_id, '-infinity'::TIMESTAMPTZ FROM identity_spans
)

SELECT turn.source, turn.external_id, turn.turned_at AS from_at, turn.to_at, span.person_id
FROM (
    SELECT *, lead(turned_at, 1, 'infinity'::TIMESTAMPTZ) OVER (
        PARTITION BY source, external_id ORDER BY turned_at
    ) AS to_at
    FROM turns
) AS turn
LEFT JOIN identity_spans AS span
    ON span.source = turn.source AND span.external_id = turn.external_id
    AND span.from_at <= turn.turned_at AND span.to_at > turn.turned_at
WHERE turn.turned_at < turn.to_at;

CREATE OR REPLACE TEMP TABLE whole_team_spans AS
WITH turns AS (
    SELECT person_id, from_at AS turned_at FROM team_spans
    UNION SELECT person_id, to_at FROM team_spans
    UNION SELECT person_id, '-infinity'::TIMESTAMPTZ FROM team_spans
)

SELECT turn.person_id, turn.turned_at AS from_at, turn.to_at, span.team
FROM (
    SELECT *, lead(turned_at, 1, 'infinity'::TIMESTAMPTZ) OVER (PARTITION BY person_id ORDER BY turned_at) AS to_at
    FROM turns
) AS turn
LEFT JOIN team_spans AS span
    ON span.person_id = turn.person_id AND span.from_at <= turn.turned_at AND span.to_at > turn.turned_at
WHERE turn.turned_at < turn.to_at;

-- A split as it stands between two days on which its shares or its people's teams change.
CREATE OR REPLACE TEMP TABLE dated_shares AS
SELECT
    deal_source AS source,
    deal_id,
    person_id,
    -- Whole billionths: a share is declared as a decimal, and sums of DOUBLEs would depend on their order.
    CAST(round(share * 1e9) AS BIGINT) AS billionths,
    day_start(valid_from) AS from_at,
    coalesce(day_start(valid_to + 1), 'infinity'::TIMESTAMPTZ) AS to_at
FROM core.splits;

CREATE OR REPLACE TEMP TABLE split_spans AS
WITH turns AS (
    SELECT source, deal_id, from_at AS turned_at FROM dated_shares
    UNION SELECT source, deal_id, to_at FROM dated_shares
    UNION SELECT source, deal_id, '-infinity'::TIMESTAMPTZ FROM dated_shares
    UNION
    SELECT share.source, share.deal_id, team.from_at
    FROM dated_shares AS share
    JOIN whole_team_spans AS team
        ON team.person_id = share.person_id AND team.from_at > share.from_at AND team.from_at < share.to_at
),

spans AS (
    SELECT
        source,
        deal_id,
        turned_at AS from_at,
        lead(turned_at, 1, 'infinity'::TIMESTAMPTZ) OVER (PARTITION BY source, deal_id ORDER BY turned_at) AS to_at
    FROM turns
)

SELECT
    span.*,
    EXISTS (
        FROM dated_shares AS share
        WHERE share.source = span.source AND share.deal_id = span.deal_id
            AND share.from_at <= span.from_at AND share.to_at > span.from_at
    ) AS is_split
FROM spans AS span
WHERE span.from_at < span.to_at;

CREATE OR REPLACE TEMP TABLE next_split_shares AS
SELECT
    concat('split:', span.source, ':', span.deal_id, ':', local_day(span.from_at)) AS credit_id,
    share.person_id,
    span.source,
    span.deal_id,
    span.from_at AS valid_from,
    team.team,
    share.billionths / 1e9 AS share,
    row_number() OVER shares AS place,
    list(CAST(share.billionths AS VARCHAR)) OVER (
        shares ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS billionths
FROM split_spans AS span
JOIN dated_shares AS share
    ON share.source = span.source AND share.deal_id = span.deal_id
    AND share.from_at <= span.from_at AND share.to_at > span.from_at
LEFT JOIN whole_team_spans AS team
    ON team.person_id = share.person_id AND team.from_at <= span.from_at AND team.to_at > span.from_at
WHERE share.billionths > 0
-- The largest share first: what can't be divided (a duration, the hours of a team) is theirs.
WINDOW shares AS (PARTITION BY span.source, span.deal_id, span.from_at ORDER BY share.billionths DESC, share.person_id);

-- Half-open spans of a deal that don't overlap. `person_id` is a person or a split's credit_id; `owner_person_id` is
-- who was responsible, whoever is credited. Before the first known owner of a deal there is no row, but for a split.
CREATE OR REPLACE TEMP TABLE deal_credits AS
WITH owned AS (
    SELECT
        owner.source,
        owner.deal_id,
        greatest(owner.valid_from, identity.from_at, team.from_at, split.from_at) AS from_at,
        least(coalesce(owner.valid_to, 'infinity'), identity.to_at, team.to_at, split.to_at) AS to_at,
        identity.person_id,
        team.team,
        owner.precision AS credit_precision,
        coalesce(split.is_split, FALSE) AS is_split
    FROM next_deal_owners AS owner
    LEFT JOIN whole_identity_spans AS identity
        ON identity.source = owner.source
        AND identity.external_id = owner.owner_id
        AND identity.from_at < coalesce(owner.valid_to, 'infinity')
        AND identity.to_at > owner.valid_from
    LEFT JOIN whole_team_spans AS team
        ON team.person_id = identity.person_id
        AND team.from_at < least(coalesce(owner.valid_to, 'infinity'), identity.to_at)
        AND team.to_at > greatest(owner.valid_from, identity.from_at)
    LEFT JOIN split_spans AS split
        ON split.source = owner.source
        AND split.deal_id = owner.deal_id
        AND split.from_at < least(coalesce(owner.valid_to, 'infinity'), identity.to_at, team.to_at)
        AND split.to_at > greatest(owner.valid_from, identity.from_at, team.from_at)
),

unowned AS (
    SELECT split.source, split.deal_id, split.from_at, least(split.to_at, owner.first_at) AS to_at
    FROM split_spans AS split
    LEFT JOIN (
        SELECT source, deal_id, min(valid_from) AS first_at FROM next_deal_owners GROUP BY source, deal_id
    ) AS owner ON owner.source = split.source AND owner.deal_id = split.deal_id
    WHERE split.is_split AND split.from_at < coalesce(owner.first_at, 'infinity')
),

divided AS (
    SELECT source, deal_id, from_at, to_at, person_id AS owner_person_id FROM owned WHERE is_split
    UNION ALL
    SELECT source, deal_id, from_at, to_at, NULL FROM unowned
)

SELECT source, deal_id, from_at, to_at, person_id, team, credit_precision, person_id AS owner_person_id
FROM owned
WHERE NOT is_split
UNION ALL
SELECT
    divided.source, divided.deal_id, divided.from_at, divided.to_at, share.credit_id, share.team,
    -- A split is a written decision, not a guess from the present owner.
    'log', divided.owner_person_id
FROM divided
JOIN split_spans AS span
    ON span.source = divided.source AND span.deal_id = divided.deal_id
    AND span.from_at <= divided.from_at AND span.to_at > divided.from_at
JOIN next_split_shares AS share
    ON share.source = span.source AND share.deal_id = span.deal_id
    AND share.valid_from = span.from_at AND share.place = 1;

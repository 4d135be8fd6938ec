// SPDX-License-Identifier: Apache-2.0
// once.mjs - was every acknowledged event kept, exactly once?

import assert from 'node:assert/strict';

import { opmaat } from './server.mjs';

/** How often each event of the shops stands in the log, by messageId; the first that counts. No server may run. */
export async function logged(data) {
    const { stdout } = await opmaat(['log', 'cat', '--data', data]);
    const keys = new Map();
    const entries = stdout.trim().split('\n').map((line) => JSON.parse(line));
    for (const entry of entries) {
        if (entry.kind !== 'event') continue;
        const key = entry.event.event_key;
        keys.set(key, (keys.get(key) ?? 0) + 1);
    }
    return keys;
}

/** Every acknowledged event is in the log, and the state holds each event of the log exactly once. */
export async function assertExactlyOnce(server, acknowledged) {
    const keys = await logged(server.data);
    const missing = [...acknowledged].filter((id) => !keys.has(id));
    assert.deepEqual(missing, [], `${missing.length} of ${acknowledged.size} acknowledged events are not in the log`);
    const verified = await opmaat(['verify', '--data', server.data]);
    assert.match(verified.stdout, /a replay of the log gives the same state/);
    await server.start();
    const [source] = (await server.get('/v1/sources')).sources;
    const entries = [...keys.values()].reduce((sum, n) => sum + n, 0);
    assert.equal(source.accepted, keys.size, 'each event once');
    assert.equal(source.duplicates, entries - keys.size, 'what was sent again was seen to be');
    // And in the histories: one entry an event, of as many people as sent them.
    let views = 0;
    for (let after = ''; after !== null;) {
        const page = await server.get(`/v1/people?limit=500${after && `&after=${after}`}`);
        for (const { person_id } of page.people)
            for (let before = ''; before !== null;) {
                const some = await server.get(`/v1/people/${person_id}/history?limit=1000${before && `&before=${before}`}`);
                views += some.events.length + (before ? 0 : some.older);
                before = some.next;
            }
        after = page.next;
    }
    assert.equal(views, keys.size, 'the histories hold each event once');
}

// SPDX-License-Identifier: Apache-2.0
//
// shop.mjs - a shop's own Node process: sends events through an unmodified SDK until its input ends.
//
//   node shop.mjs segment|rudder|posthog URL KEY TAG
//
// Prints "ok MESSAGE_ID" for each event whose callback said success, "failed MESSAGE_ID" for the others,
// and "sent N" when it is done. Nothing here catches what the SDK throws: if that ends the process, the
// test sees it.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const [sdk, host, key, tag] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);

let client;
if (sdk === 'posthog') {
    const { PostHog } = require('posthog-node');
    client = new PostHog(key, { host: `${host}/posthog`, flushAt: 10, flushInterval: 20, disableGeoip: true });
    client.on('flush', (events) => { for (const event of events) taken(null, event.uuid); });
    client.track = ({ userId, messageId, event, properties }) => client.capture({ distinctId: userId, uuid: messageId, event, properties });
} else if (sdk === 'segment') {
    const { Analytics } = require('@segment/analytics-node');
    client = new Analytics({ writeKey: key, host, flushAt: 10, flushInterval: 20 });
} else {
    const RudderAnalytics = require('@rudderstack/rudder-sdk-node');
    client = new RudderAnalytics(key, { dataPlaneUrl: host, flushAt: 10, flushInterval: 20 });
}

let going = true, sent = 0, waiting = 0;
process.stdin.on('end', () => { going = false; }).resume();

function taken(error, messageId) {
    waiting--;
    say(`${error ? 'failed' : 'ok'} ${messageId}`);
}

function one() {
    const messageId = `${tag}-${sent++}`;
    waiting++;
    client.track({
        userId: `${tag}-${sent % 10}`, event: 'Product Viewed', messageId,
        properties: { product_id: `p-${sent % 50}`, currency: 'EUR', price: 10 + (sent % 9) },
    }, (error) => taken(error, messageId));
}

while (going) {
    for (let i = 0; i < 5 && waiting < 500; i++) one();
    await new Promise((done) => setTimeout(done, 10));
}
if (sdk === 'segment') await client.closeAndFlush({ timeout: 20_000 });
while (waiting > 0) await new Promise((done) => setTimeout(done, 10));
say(`sent ${sent}`);
process.exitCode = 0;
setTimeout(() => process.exit(0), 100);

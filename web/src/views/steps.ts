/** The calls of a run one by one, forwards and backwards, with the bind buckets after each. */

import { h, seconds } from '../dom';
import type { Bucket, Call, Steps } from '../protocol';
import { MOST_PORTS, type Snapshots, snapshots, strip } from './strip';
import { useOf } from './uses';

/** Buckets of a host that are drawn. */
const MOST_BUCKETS = 48;

export function stepView(steps: Steps): Node[] {
    const all = snapshots(steps);
    const last = all.length - 1;
    let at = last;

    const slider = h('input', {
        type: 'range',
        min: 0,
        max: last,
        value: last,
        'aria-label': 'Step',
        input: () => go(Number(slider.value)),
    });
    const button = (label: string, sign: string, to: () => number) =>
        h('button', { type: 'button', 'aria-label': label, click: () => go(to()) }, sign);
    const call = h('div', { class: 'call', role: 'status' });
    const detail = h('p', { class: 'detail quiet' }, 'Point at a port to see its bucket and owners.');
    const buckets = h('div', { class: 'hosts' });
    const strips = steps.hosts.map((_, host) =>
        strip(steps, host, all, {
            chosen: go,
            pointed: (host, port, state) => {
                detail.replaceChildren(...describe(steps, all, host, port, state));
            },
        }),
    );

    function go(to: number): void {
        at = Math.max(0, Math.min(last, to));
        slider.value = String(at);
        const state = steps.states[at];
        const made = state === undefined ? 0 : state.calls;
        slider.setAttribute('aria-valuetext', `after call ${made} of ${steps.total}`);
        call.replaceChildren(...callView(steps, at));
        buckets.replaceChildren(...steps.hosts.map((_, host) => hostView(steps, all, host, at)));
        for (const one of strips) {
            one?.mark(at);
        }
    }

    const drawn = steps.hosts.flatMap((_, host) => (isUsed(all, steps, host) ? [strips[host]] : []));
    const large = steps.hosts.some(
        ({ low, high }, host) => high - low >= MOST_PORTS && isUsed(all, steps, host),
    );
    const nodes: Node[] = [
        h(
            'p',
            { class: 'quiet' },
            `On ${[steps.kernel, ...steps.point].join(', ')}: ${steps.total} calls`,
            steps.calls.length < steps.total && `, of which the first ${steps.calls.length} are shown`,
            '.',
        ),
        ...drawn.flatMap((one) => (one === undefined || one === null ? [] : [one.element])),
        large && h('p', { class: 'quiet' }, 'Ranges of more than 64 ports are not drawn port by port.'),
        detail,
        h(
            'div',
            { class: 'stepper' },
            button('First step', '|◀', () => 0),
            button('Step back', '◀', () => at - 1),
            slider,
            button('Step forward', '▶', () => at + 1),
            button('Last step', '▶|', () => last),
        ),
        call,
        buckets,
    ].filter((node) => node !== false);
    go(last);
    return nodes;
}

/** True if a port of the host's range was ever in use. */
function isUsed(all: Snapshots, steps: Steps, host: number): boolean {
    const { low, high } = steps.hosts[host] ?? { low: 0, high: -1 };
    return all.some((hosts) =>
        [...(hosts[host]?.keys() ?? [])].some((port) => port >= low && port <= high),
    );
}

function callView(steps: Steps, at: number): Node[] {
    const state = steps.states[at];
    const before = steps.states[at - 1];
    const calls = steps.calls.slice(before?.calls ?? 0, state?.calls ?? 0);
    if (calls.length === 0) {
        const text = at === 0 ? 'Before the first call' : `${seconds(state?.at_ns ?? 0)}: time has passed`;
        return [h('p', {}, text)];
    }
    return calls.map((call, n) => oneCall(call, (before?.calls ?? 0) + n + 1, steps.total));
}

function oneCall(call: Call, n: number, total: number): HTMLElement {
    return h(
        'p',
        {},
        h('span', { class: 'quiet' }, `${n} of ${total}, ${seconds(call.at_ns)} `),
        h('code', {}, `${call.socket} ${call.call}${call.args === '' ? '' : ` ${call.args}`}`),
        ' → ',
        h('strong', { class: call.result === 'ok' ? 'ok' : 'refused' }, call.result),
        call.local !== null && call.result === 'ok' && ` ${call.local}`,
        call.why !== null && `: ${call.why}`,
    );
}

function hostView(steps: Steps, all: Snapshots, host: number, at: number): HTMLElement {
    const ports = all[at]?.[host] ?? new Map<number, Bucket>();
    const before = all[at - 1]?.[host];
    const sorted = [...ports].sort(([a], [b]) => a - b);
    const name = steps.hosts[host]?.name ?? '';
    return h(
        'section',
        { class: 'host' },
        h('h2', {}, `Bind buckets of ${name}`),
        sorted.length === 0 && h('p', { class: 'quiet' }, 'none'),
        h(
            'ul',
            { class: 'buckets' },
            ...sorted
                .slice(0, MOST_BUCKETS)
                .map(([port, bucket]) => card(port, bucket, before?.get(port) !== bucket)),
        ),
        sorted.length > MOST_BUCKETS &&
            h('p', { class: 'quiet' }, `and ${sorted.length - MOST_BUCKETS} more`),
    );
}

function card(port: number, bucket: Bucket, isNew: boolean): HTMLElement {
    const use = useOf(bucket.use);
    return h(
        'li',
        { class: `bucket ${use.name}${isNew ? ' new' : ''}` },
        h('strong', {}, port),
        h('span', { class: 'word' }, use.word),
        h('code', { class: 'values' }, `fastreuse ${bucket.fastreuse}`),
        h('code', { class: 'values' }, `fastreuseport ${bucket.fastreuseport}`),
        h('ul', { class: 'owners' }, ...bucket.owners.slice(0, 6).map((owner) => h('li', {}, owner))),
        bucket.owners.length > 6 && h('span', { class: 'quiet' }, `and ${bucket.owners.length - 6} more`),
    );
}

function describe(steps: Steps, all: Snapshots, host: number, port: number, state: number): (Node | string)[] {
    const bucket = all[state]?.[host]?.get(port);
    const moment = seconds(steps.states[state]?.at_ns ?? 0);
    const name = steps.hosts[host]?.name ?? '';
    const text =
        bucket === undefined
            ? 'no bucket'
            : `${bucket.use}, fastreuse ${bucket.fastreuse}, fastreuseport ${bucket.fastreuseport}; owners: ${bucket.owners.slice(0, 4).join('; ')}`;
    return [h('strong', {}, `${name}:${port}`), ` at ${moment}: ${text}`];
}

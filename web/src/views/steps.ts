/** The calls of a run one by one, forwards and backwards, with the ports after each. */

import { h, seconds } from '../dom';
import type { Call, Port, Steps } from '../protocol';
import { nameOf, type Snapshots, snapshots, strip } from './strip';
import { useOf } from './uses';

/** Ports of a table that are drawn. */
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
    const buckets = h('div', { class: 'hosts' });
    // Tables without any port during the whole run are left out.
    const tables = steps.tables.map((_, table) => table).filter((table) => all.some((ports) => ports[table]?.size));
    const drawn = tables.filter((table) => isInRange(all, steps, table));
    const strips = drawn.flatMap((table) => {
        const made = strip(steps, table, all, {
            chosen: go,
            pointed: (table, port, state) => {
                detail.replaceChildren(...describe(steps, all, table, port, state));
            },
        });
        return made === null ? [] : [made];
    });
    const detail = h('p', { class: 'detail quiet' }, strips.length === 0 ? '' : 'Point at a port to see its owners.');

    function go(to: number): void {
        at = Math.max(0, Math.min(last, to));
        slider.value = String(at);
        const state = steps.states[at];
        const made = state === undefined ? 0 : state.calls;
        slider.setAttribute('aria-valuetext', `after call ${made} of ${steps.total}`);
        call.replaceChildren(...callView(steps, at));
        buckets.replaceChildren(...tables.map((table) => tableView(steps, all, table, at)));
        for (const one of strips) {
            one.mark(at);
        }
    }

    const nodes: Node[] = [
        h(
            'p',
            { class: 'quiet' },
            `On ${[steps.kernel, ...steps.point].join(', ')}: ${steps.total} calls`,
            steps.calls.length < steps.total && `, of which the first ${steps.calls.length} are shown`,
            '.',
        ),
        ...strips.map((one) => one.element),
        strips.length < drawn.length && h('p', { class: 'quiet' }, 'Ranges of more than 64 ports are not drawn port by port.'),
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

/** True if a port of the table's range was ever in use. */
function isInRange(all: Snapshots, steps: Steps, table: number): boolean {
    const { low, high } = steps.tables[table] ?? { low: 0, high: -1 };
    return all.some((tables) =>
        [...(tables[table]?.keys() ?? [])].some((port) => port >= low && port <= high),
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

function tableView(steps: Steps, all: Snapshots, table: number, at: number): HTMLElement {
    const ports = all[at]?.[table] ?? new Map<number, Port>();
    const before = all[at - 1]?.[table];
    const sorted = [...ports].sort(([a], [b]) => a - b);
    const range = steps.tables[table];
    return h(
        'section',
        { class: 'host' },
        h('h2', {}, range === undefined ? '' : nameOf(range)),
        sorted.length === 0 && h('p', { class: 'quiet' }, 'none'),
        h(
            'ul',
            { class: 'buckets' },
            ...sorted
                .slice(0, MOST_BUCKETS)
                .map(([port, view]) => card(port, view, before?.get(port) !== view)),
        ),
        sorted.length > MOST_BUCKETS &&
            h('p', { class: 'quiet' }, `and ${sorted.length - MOST_BUCKETS} more`),
    );
}

function card(port: number, view: Port, isNew: boolean): HTMLElement {
    const use = useOf(view.use);
    const { marks, owners } = view;
    return h(
        'li',
        { class: `bucket ${use.name}${isNew ? ' new' : ''}` },
        h('strong', {}, port),
        h('span', { class: 'word' }, use.word),
        marks !== null && h('code', { class: 'values' }, `fastreuse ${marks[0]}`),
        marks !== null && h('code', { class: 'values' }, `fastreuseport ${marks[1]}`),
        h('ul', { class: 'owners' }, ...owners.slice(0, 6).map((owner) => h('li', {}, owner))),
        owners.length > 6 && h('span', { class: 'quiet' }, `and ${owners.length - 6} more`),
    );
}

function describe(steps: Steps, all: Snapshots, table: number, port: number, state: number): (Node | string)[] {
    const view = all[state]?.[table]?.get(port);
    const moment = seconds(steps.states[state]?.at_ns ?? 0);
    const { host = '', kind = '' } = steps.tables[table] ?? {};
    const parts = ['free'];
    if (view !== undefined) {
        parts[0] = view.use;
        if (view.marks !== null) {
            parts.push(`fastreuse ${view.marks[0]}`, `fastreuseport ${view.marks[1]}`);
        }
        const more = view.owners.length > 4 ? '; …' : '';
        parts.push(`owners: ${view.owners.slice(0, 4).join('; ')}${more}`);
    }
    return [h('strong', {}, `${host}:${port}`), ` (${kind.toLowerCase()}) at ${moment}: ${parts.join(', ')}`];
}

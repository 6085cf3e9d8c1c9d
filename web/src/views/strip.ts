/** The ports of a table of the kernel over virtual time, as a picture and as text. */

import { h, s, scrolled, seconds, table as rows } from '../dom';
import type { Port, Steps, Table } from '../protocol';
import { FREE, type Use, USES, useOf } from './uses';

const ROW = 20;
const LEFT = 56;
const TOP = 22;
/** The narrowest column, and the width that time adds to all of them. */
const NARROWEST = 18;
const STRETCH = 320;
/** Ranges up to this size are drawn port by port. */
export const MOST_PORTS = 64;
/** Most columns of a picture. */
const MOST_COLUMNS = 160;

/** The ports of each table by number, after each state. */
export type Snapshots = readonly (readonly ReadonlyMap<number, Port>[])[];

/** Follows the changes of a run. */
export function snapshots(steps: Steps): Snapshots {
    let now: ReadonlyMap<number, Port>[] = steps.tables.map(() => new Map());
    return steps.states.map((state) => {
        const changed = new Map<number, Map<number, Port>>();
        for (const { table, port, now: view } of state.changes) {
            const ports = changed.get(table) ?? new Map(now[table]);
            changed.set(table, ports);
            if (view === null) {
                ports.delete(port);
            } else {
                ports.set(port, view);
            }
        }
        now = now.map((before, table) => changed.get(table) ?? before);
        return now;
    });
}

interface Column {
    /** The state that it shows. */
    state: number;
    at: number;
    x: number;
    width: number;
}

/** A column for each state in which the range changed; wider ones lasted longer. */
function columns(steps: Steps, table: number, all: Snapshots): Column[] {
    const { low, high } = steps.tables[table] ?? { low: 0, high: 0 };
    const changed = steps.states
        .map((state, n) => ({ state: n, at: state.at_ns, changes: state.changes }))
        .filter(
            ({ state, changes }) =>
                state === 0 ||
                state === all.length - 1 ||
                changes.some((one) => one.table === table && one.port >= low && one.port <= high),
        )
        .slice(0, MOST_COLUMNS);
    const end = changed.at(-1)?.at ?? 0;
    let x = LEFT;
    return changed.map(({ state, at }, n) => {
        const lasted = (changed[n + 1]?.at ?? at) - at;
        const width = NARROWEST + (end > 0 ? (STRETCH * lasted) / end : 0);
        const column = { state, at, x, width };
        x += width;
        return column;
    });
}

export interface Strip {
    element: HTMLElement;
    /** Marks the column of a state. */
    mark(state: number): void;
}

export interface Hooks {
    /** A column was chosen. */
    chosen(state: number): void;
    /** The pointer is on a port. */
    pointed(table: number, port: number, state: number): void;
}

/** The name of a table. */
export function nameOf({ kind, host }: Table): string {
    return `${kind} of ${host}`;
}

/** The strip of a table; null for a range that is too large to be drawn port by port. */
export function strip(steps: Steps, table: number, all: Snapshots, hooks: Hooks): Strip | null {
    const range = steps.tables[table];
    if (range === undefined || range.high - range.low >= MOST_PORTS) {
        return null;
    }
    const ports = Array.from({ length: range.high - range.low + 1 }, (_, n) => range.low + n);
    const cols = columns(steps, table, all);
    const last = cols.at(-1);
    const width = (last === undefined ? LEFT : last.x + last.width) + 12;
    const height = TOP + ROW * ports.length + 8;
    const use = (state: number, port: number): Use => {
        const view = all[state]?.[table]?.get(port);
        return view === undefined ? FREE : useOf(view.use);
    };
    const marker = s('rect', { class: 'marker', y: TOP - 3, height: ROW * ports.length + 6 });
    const title = `${nameOf(range)} over time, ports ${range.low}-${range.high}`;
    const picture = s(
        'svg',
        { class: 'strip', role: 'img', 'aria-label': `${title}. The table below says the same.`, width, height, viewBox: `0 0 ${width} ${height}` },
        ...times(cols),
        ...ports.map((port, row) =>
            s('text', { x: LEFT - 8, y: TOP + ROW * row + 15, 'text-anchor': 'end' }, port),
        ),
        ...cols.flatMap((column) =>
            ports.flatMap((port, row) => cell(column, port, row, use(column.state, port), table, hooks)),
        ),
        marker,
    );
    const used = new Set(cols.flatMap((column) => ports.map((port) => use(column.state, port))));
    const element = h(
        'div',
        {},
        h('h2', {}, title),
        scrolled(title, picture),
        legend(used),
        h(
            'details',
            {},
            h('summary', {}, `${title}, as a table`),
            rows(
                title,
                ['time', 'after call', ...ports.map(String)],
                cols.map((column) => [
                    seconds(column.at),
                    steps.states[column.state]?.calls,
                    ...ports.map((port) => use(column.state, port).word),
                ]),
            ),
        ),
    );
    return {
        element,
        mark: (state) => {
            const column = cols.findLast((one) => one.state <= state) ?? cols[0];
            marker.setAttribute('x', String((column?.x ?? LEFT) - 1));
            marker.setAttribute('width', String((column?.width ?? 0) + 1));
        },
    };
}

/** A label for each time, as far as there is room. */
function times(cols: readonly Column[]): SVGTextElement[] {
    let free = 0;
    const labels: SVGTextElement[] = [];
    cols.forEach((column, n) => {
        if (column.x >= free && (n === 0 || column.at !== cols[n - 1]?.at)) {
            const text = seconds(column.at);
            labels.push(s('text', { class: 'time', x: column.x, y: 13 }, text));
            free = column.x + 8 * text.length + 8;
        }
    });
    return labels;
}

function cell(
    column: Column,
    port: number,
    row: number,
    use: Use,
    table: number,
    hooks: Hooks,
): SVGElement[] {
    const y = TOP + ROW * row;
    const point = () => hooks.pointed(table, port, column.state);
    const box = s('rect', {
        class: `use ${use.name}`,
        x: column.x,
        y,
        width: column.width - 1,
        height: ROW - 1,
        pointerenter: point,
        click: () => hooks.chosen(column.state),
    });
    if (use.letter === '') {
        return [box];
    }
    const x = column.x + Math.min(column.width, NARROWEST) / 2;
    return [box, s('text', { class: 'letter', x, y: y + 14, 'text-anchor': 'middle' }, use.letter)];
}

function legend(used: ReadonlySet<Use>): HTMLElement {
    return h(
        'ul',
        { class: 'legend', 'aria-label': 'Colours of the ports' },
        ...USES.filter((use) => used.has(use)).map((use) =>
            h('li', {}, h('span', { class: `key ${use.name}`, 'aria-hidden': 'true' }, use.letter), use.word),
        ),
    );
}

/** A picture of values that depend on the share of the ports in use. */

import { h, s, scrolled } from '../dom';

const LEFT = 56;
const TOP = 14;
const WIDTH = 380;
const HEIGHT = 150;

export interface Line {
    /** The name, which the last point carries if there are several lines. */
    name: string;
    points: readonly { fill: number; value: number }[];
}

export interface Chart {
    /** The title. */
    title: string;
    /** All points in words. */
    words: string;
    /** The largest value, and its label. */
    top: number;
    label: string;
    lines: readonly Line[];
}

export function chart({ title, words, top, label, lines }: Chart): HTMLElement {
    const x = (fill: number) => LEFT + (WIDTH * fill) / 100;
    const y = (value: number) => TOP + HEIGHT - (HEIGHT * value) / top;
    const floor = TOP + HEIGHT;
    const width = LEFT + WIDTH + 60;
    const height = floor + 30;
    const drawn = (line: Line, n: number) => [
        s('polyline', {
            class: n === 0 ? '' : 'second',
            points: line.points.map(({ fill, value }) => `${x(fill)},${y(value)}`).join(' '),
        }),
        ...line.points.map(({ fill, value }) =>
            s('circle', { cx: x(fill), cy: y(value), r: n === 0 ? 4 : 2.5 }),
        ),
    ];
    const key = (line: Line, n: number) =>
        h('li', {}, h('span', { class: n === 0 ? 'stroke' : 'stroke second', 'aria-hidden': 'true' }), line.name);
    return h(
        'figure',
        {},
        h('figcaption', {}, title),
        scrolled(
            title,
            s(
                'svg',
                { class: 'curve', role: 'img', 'aria-label': `${title}: ${words}.`, width, height, viewBox: `0 0 ${width} ${height}` },
                s('line', { class: 'axis', x1: LEFT, x2: LEFT + WIDTH, y1: floor, y2: floor }),
                s('line', { class: 'axis', x1: LEFT, x2: LEFT, y1: TOP, y2: floor }),
                s('text', { x: LEFT - 8, y: floor, 'text-anchor': 'end' }, 0),
                s('text', { x: LEFT - 8, y: TOP + 8, 'text-anchor': 'end' }, label),
                s('text', { x: LEFT, y: floor + 20 }, '0 %'),
                s('text', { x: LEFT + WIDTH, y: floor + 20, 'text-anchor': 'end' }, '100 % of the ports in use'),
                ...lines.flatMap(drawn),
            ),
        ),
        lines.length > 1 && h('ul', { class: 'legend' }, ...lines.map(key)),
    );
}

/** Elements without markup: text of a scenario can never become HTML. */

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | EventListener | null | undefined>;

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (typeof value === 'function') {
            element.addEventListener(name, value);
        } else {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
    for (const child of children) {
        if (child !== null && child !== undefined && child !== false) {
            element.append(typeof child === 'number' ? String(child) : child);
        }
    }
}

/** An HTML element. A function among the attributes is a listener for the event of that name. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
    tag: Tag,
    attributes: Attributes = {},
    ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
    const element = document.createElement(tag);
    fill(element, attributes, children);
    return element;
}

/** An SVG element. */
export function s<Tag extends keyof SVGElementTagNameMap>(
    tag: Tag,
    attributes: Attributes = {},
    ...children: readonly Child[]
): SVGElementTagNameMap[Tag] {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    fill(element, attributes, children);
    return element;
}

/** A table with a caption. The first cell of each row is its head. */
export function table(
    caption: string,
    head: readonly string[],
    rows: readonly (readonly (Child | Child[])[])[],
): HTMLElement {
    const cells = (row: readonly (Child | Child[])[]) =>
        row.map((cell, n) => {
            const children = Array.isArray(cell) ? cell : [cell];
            return n === 0
                ? h('th', { scope: 'row' }, ...children)
                : h('td', { 'data-label': head[n] }, ...children);
        });
    return scrolled(
        caption,
        h(
            'table',
            {},
            h('caption', {}, caption),
            h('thead', {}, h('tr', {}, ...head.map((text) => h('th', { scope: 'col' }, text)))),
            h('tbody', {}, ...rows.map((row) => h('tr', {}, ...cells(row)))),
        ),
    );
}

/** Content that may be wider than the screen, scrolled in a box that the keyboard reaches. */
export function scrolled(label: string, content: Node): HTMLElement {
    return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label }, content);
}

/** Text with a capital letter. */
export function capital(text: string): string {
    return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Virtual time: `0 s`, `1.5 s`. */
export function seconds(ns: number): string {
    return `${Number((ns / 1e9).toFixed(6))} s`;
}

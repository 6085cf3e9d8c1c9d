/** The uses of a port, with a letter and a class for each: bind buckets, UDP sockets, flows of a NAT host. */

export const USES = [
    { word: 'free', letter: '', name: 'free' },
    { word: 'connect-made', letter: 'C', name: 'made' },
    { word: 'bound', letter: 'B', name: 'bound' },
    { word: 'poisoned', letter: 'P', name: 'poisoned' },
    { word: 'TIME-WAIT', letter: 'T', name: 'waits' },
    { word: 'connected', letter: 'C', name: 'made' },
    { word: 'unconnected', letter: 'U', name: 'bound' },
    { word: 'translated', letter: 'N', name: 'made' },
    { word: 'closing', letter: 'X', name: 'waits' },
] as const;

export type Use = (typeof USES)[number];

export const FREE: Use = USES[0];

export function useOf(word: string | undefined): Use {
    return USES.find((one) => one.word === word) ?? FREE;
}

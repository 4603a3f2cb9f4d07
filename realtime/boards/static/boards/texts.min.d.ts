export function text(english: string, values?: Record<string, unknown>): string;

// What realtime/frameworks/ uses of packages that are not installed for the type checker.
declare module "react" {
  export function useMemo<T>(make: () => T, dependencies: unknown[]): T;
  export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, get: () => T, first: () => T): T;
}
declare module "vue" {
  export interface ShallowRef<T> { value: T }
  export type MaybeRefOrGetter<T> = T | (() => T) | { value: T };
  export function onMounted(action: () => void): void;
  export function shallowRef<T>(value: T): ShallowRef<T>;
  export function toValue<T>(value: MaybeRefOrGetter<T>): T;
  export function watch<T>(
    source: () => T,
    action: (value: T, old: T | undefined, onCleanup: (stop: () => void) => void) => void,
    options: { immediate: boolean },
  ): void;
}

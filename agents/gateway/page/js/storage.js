/** What the browser keeps for us. Where it refuses (private windows, policies), the page works without a memory. */

function open(kind) {
  try {
    return globalThis[kind];
  } catch {
    return null;
  }
}

/** `kind`: "localStorage" or "sessionStorage". */
function memory(kind) {
  const kept = new Map(); // for this visit, where the browser keeps nothing
  return {
    get(key) {
      try {
        return open(kind).getItem(key);
      } catch {
        return kept.get(key) ?? null;
      }
    },
    set(key, value) {
      kept.set(key, value);
      try {
        open(kind).setItem(key, value);
      } catch { /* full or refused: this visit still has it */ }
    },
    remove(key) {
      kept.delete(key);
      try {
        open(kind).removeItem(key);
      } catch { /* nothing to remove */ }
    },
  };
}

/** Outlives the visit. */
export const lasting = memory("localStorage");

/** Ends with the tab. */
export const passing = memory("sessionStorage");

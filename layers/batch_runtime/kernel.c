/* What a batch does most often, in C; noria.columnar.kernel calls it.
 *
 * noria_dense, noria_sparse: sum a tree ensemble's leaves for many rows, which is the loop of
 * noria.inference.scoring.trees.TreeScorer. noria_count: count each row's terms.
 *
 * The tables are those of the serving bundle; a caller has checked them (noria.columnar.kernel).
 * Rows are either dense (every feature present) or CSR (an absent feature is "absent", not 0).
 * Sums run over the trees in order, in double precision, without fused operations.
 */
#include <stdint.h>
#include <math.h>

typedef struct {
    const int32_t *feature, *right, *roots, *outputs, *absent_leaf, *touched_start, *touched;
    const double *threshold, *leaves, *base;
    const uint8_t *otherwise;
    int64_t n_trees, n_outputs, per_leaf, rounds;
} Trees;

static inline double rounded(double value, int64_t rounds) {
    return rounds ? (double)(float)value : value;
}

static inline void add(const Trees *t, int64_t tree, int32_t leaf, double *out) {
    const double *values = t->leaves + (int64_t)leaf * t->per_leaf;
    if (t->per_leaf > 1) {
        for (int64_t k = 0; k < t->per_leaf; k++) out[k] += values[k];
    } else {
        out[t->n_outputs == 1 ? 0 : t->outputs[tree]] += values[0];
    }
}

static inline int32_t dense_leaf(const Trees *t, int32_t node, const double *row) {
    for (int32_t feature; (feature = t->feature[node]) >= 0;) {
        double value = row[feature];
        int right = isnan(value) ? t->otherwise[node] & 2 : !(value <= t->threshold[node]);
        node = right ? t->right[node] : node + 1;
    }
    return t->right[node];
}

static inline int32_t sparse_leaf(const Trees *t, int32_t node, const double *row,
                                  const int32_t *stamp, int32_t now) {
    for (int32_t feature; (feature = t->feature[node]) >= 0;) {
        int right;
        if (stamp[feature] != now) right = t->otherwise[node] & 1;
        else if (isnan(row[feature])) right = t->otherwise[node] & 2;
        else right = !(row[feature] <= t->threshold[node]);
        node = right ? t->right[node] : node + 1;
    }
    return t->right[node];
}

/* rows: n_rows x width, changed in place where the ensemble rounds; out: n_rows x n_outputs. */
void noria_dense(const Trees *t, int64_t n_rows, int64_t width, double *rows, double *out) {
    for (int64_t r = 0; r < n_rows; r++) {
        double *row = rows + r * width, *sums = out + r * t->n_outputs;
        if (t->rounds)
            for (int64_t f = 0; f < width; f++) row[f] = rounded(row[f], 1);
        for (int64_t k = 0; k < t->n_outputs; k++) sums[k] = t->base[k];
        for (int64_t tree = 0; tree < t->n_trees; tree++)
            add(t, tree, dense_leaf(t, t->roots[tree], row), sums);
    }
}

/* scratch: width doubles; stamp: width int32, zeroed; met: n_trees int32, zeroed. */
void noria_sparse(const Trees *t, int64_t n_rows, const int64_t *start, const int32_t *columns,
                  const double *values, double *scratch, int32_t *stamp, int32_t *met,
                  double *out) {
    for (int64_t r = 0; r < n_rows; r++) {
        double *sums = out + r * t->n_outputs;
        int32_t now = (int32_t)r + 1;
        for (int64_t i = start[r]; i < start[r + 1]; i++) {
            int32_t feature = columns[i];
            scratch[feature] = rounded(values[i], t->rounds);
            stamp[feature] = now;
            if (t->touched_start)
                for (int32_t j = t->touched_start[feature]; j < t->touched_start[feature + 1]; j++)
                    met[t->touched[j]] = now;
        }
        for (int64_t k = 0; k < t->n_outputs; k++) sums[k] = t->base[k];
        for (int64_t tree = 0; tree < t->n_trees; tree++) {
            int is_met = !t->touched_start || met[tree] == now;
            add(t, tree, is_met ? sparse_leaf(t, t->roots[tree], scratch, stamp, now)
                                : t->absent_leaf[tree], sums);
        }
    }
}

/* Count equal terms of each row: out_* get an entry per row and term, by row, terms ascending.
 *
 * start: n_rows + 1, of each row's terms; terms: each below width; counts: width int32, zeroed;
 * seen: (width + 63) / 64 words, zeroed; out_*: room for as many entries as there are terms.
 * Returns the number of entries. */
int64_t noria_count(int64_t n_rows, int64_t width, const int64_t *start, const int32_t *terms,
                    int32_t *counts, uint64_t *seen, int32_t *out_rows, int32_t *out_terms,
                    int32_t *out_counts) {
    int64_t n = 0, n_words = (width + 63) / 64;
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = start[r]; i < start[r + 1]; i++) {
            int32_t term = terms[i];
            counts[term]++;
            seen[term >> 6] |= (uint64_t)1 << (term & 63);
        }
        if (start[r] == start[r + 1]) continue;
        for (int64_t word = 0; word < n_words; word++) {
            for (uint64_t bits = seen[word]; bits; bits &= bits - 1) {
                int32_t term = (int32_t)(word * 64 + __builtin_ctzll(bits));
                out_rows[n] = (int32_t)r;
                out_terms[n] = term;
                out_counts[n++] = counts[term];
                counts[term] = 0;
            }
            seen[word] = 0;
        }
    }
    return n;
}

/* Count words: rows ascending, numbers below 0 are no words, those below n_places are watched.
 *
 * n_words, n_known: of each row, zeroed; counts: n_places, zeroed: rows that are wanted and have
 * the word; last: n_places int32, zeroed. */
void noria_signals(int64_t n, const uint16_t *rows, const int32_t *numbers, int64_t n_places,
                   const uint8_t *wanted, int64_t *n_words, int64_t *n_known, int64_t *counts,
                   int32_t *last) {
    for (int64_t i = 0; i < n; i++) {
        int32_t number = numbers[i], row = rows[i];
        if (number < 0) continue;
        n_words[row]++;
        if (number >= n_places) continue;
        n_known[row]++;
        if (last[number] == row + 1) continue;
        last[number] = row + 1;
        counts[number] += wanted[row];
    }
}

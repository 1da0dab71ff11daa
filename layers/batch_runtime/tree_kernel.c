/* Sum a tree ensemble's leaves for many rows: the loop of noria.inference.scoring.trees.TreeScorer.
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

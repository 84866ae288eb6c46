// The three operations of the array on whole matrices, in binary32, in the machine's order.
//
// A matrix holds a layer's weights as the banks do: a row for each word of a fold, a column for
// each of the neurons or inputs that are spread over the PEs. Loops run along the rows, so that
// they become vector instructions. sim/kernels.py compiles this and checks what it is called with.

#include <algorithm>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

static_assert(FLT_EVAL_METHOD == 0, "each operation must round to binary32");

namespace {

// A subnormal becomes zero of its sign, if asked; NaN stays.
template <bool flush> inline float flushed(float value) {
    if (!flush) return value;
    std::int32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits &= (bits & INT32_MAX) < 0x00800000 ? INT32_MIN : -1;
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}

template <bool flush> inline float multiply(float x, float y) { return flushed<flush>(x * y); }
template <bool flush> inline float add(float x, float y) { return flushed<flush>(x + y); }

template <bool flush>
void accumulate(const float *matrix, const float *vector, const float *first, float *sums,
                std::size_t rows, std::size_t columns, bool rotating, std::size_t partial,
                const std::int64_t *combines, std::size_t combinations) {
    const std::size_t before = first ? 1 : 0, length = before + rows;
    for (std::size_t k = 0; k < length; k++) {
        // Neighbours meet in pairs unless the partial sums rotate.
        float *sum = sums + (rotating ? k % partial : k / 2) * columns;
        const bool starts = rotating ? k < partial : k % 2 == 0;
        if (k < before) {
            std::copy(first, first + columns, sum);
            continue;
        }
        const float *weights = matrix + (k - before) * columns;
        const float factor = vector[k - before];
        if (starts) {
#pragma omp simd
            for (std::size_t n = 0; n < columns; n++)
                sum[n] = multiply<flush>(weights[n], factor);
        } else {
#pragma omp simd
            for (std::size_t n = 0; n < columns; n++)
                sum[n] = add<flush>(sum[n], multiply<flush>(weights[n], factor));
        }
    }
    // Partial sums are numbered as they leave the adder.
    const auto place = [&](std::size_t number) {
        return sums + (rotating && number < partial ? (length + number) % partial : number) * columns;
    };
    for (std::size_t c = 0; c < combinations; c++) {
        const float *left = place(combines[2 * c]), *right = place(combines[2 * c + 1]);
        float *sum = place(partial + c);
#pragma omp simd
        for (std::size_t n = 0; n < columns; n++) sum[n] = add<flush>(left[n], right[n]);
    }
}

// The sum of a block of products, pairwise; an odd one out moves up a level.
template <bool flush> float tree(float *products, std::size_t size) {
    for (; size > 1; size = (size + 1) / 2) {
        // Each place is read before, or as, it is written.
#pragma omp simd
        for (std::size_t j = 0; j < size / 2; j++)
            products[j] = add<flush>(products[2 * j], products[2 * j + 1]);
        if (size % 2) products[size / 2] = products[size - 1];
    }
    return products[0];
}

template <bool flush>
void reduce(const float *matrix, const float *local, const float *carry, float *sums,
            std::size_t rows, std::size_t columns, const std::int64_t *blocks, std::size_t count) {
    std::vector<float> products(columns), heads(count);
    for (std::size_t row = 0; row < rows; row++) {
        const float *weights = matrix + row * columns;
#pragma omp simd
        for (std::size_t i = 0; i < columns; i++)
            products[i] = multiply<flush>(weights[i], local[i]);
        bool carried = carry;
        float total = carry ? carry[row] : 0;
        for (std::size_t first = 0; first < columns;) {
            // One fold. In the last one, blocks may be short or empty.
            std::size_t full = 0;
            for (; full < count && first < columns; full++) {
                const std::size_t size = std::min<std::size_t>(blocks[full], columns - first);
                heads[full] = tree<flush>(&products[first], size);
                first += size;
            }
            while (full--) {
                total = carried ? add<flush>(heads[full], total) : heads[full];
                carried = true;
            }
        }
        sums[row] = total;
    }
}

template <bool flush>
void update(const float *before, float *after, const float *broadcast, const float *local,
            std::size_t rows, std::size_t columns) {
    for (std::size_t row = 0; row < rows; row++, before += columns, after += columns) {
        const float factor = broadcast[row];
#pragma omp simd
        for (std::size_t n = 0; n < columns; n++)
            after[n] = add<flush>(before[n], multiply<flush>(local[n], factor));
    }
}

}  // namespace

// Compiled for each width of vectors, and chosen when it is loaded: the results are the same.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default"), flatten))
#else
#define EVERY_WIDTH
#endif

extern "C" {

// sums: `partial` rows and one for each of the `combinations`; the last one is the result.
EVERY_WIDTH
void gradwire_accumulate(int flush, const float *matrix, const float *vector, const float *first,
                         float *sums, std::size_t rows, std::size_t columns, int rotating,
                         std::size_t partial, const std::int64_t *combines,
                         std::size_t combinations) {
    if (flush)
        accumulate<true>(matrix, vector, first, sums, rows, columns, rotating, partial, combines,
                         combinations);
    else
        accumulate<false>(matrix, vector, first, sums, rows, columns, rotating, partial, combines,
                          combinations);
}

EVERY_WIDTH
void gradwire_reduce(int flush, const float *matrix, const float *local, const float *carry,
                     float *sums, std::size_t rows, std::size_t columns,
                     const std::int64_t *blocks, std::size_t count) {
    if (flush)
        reduce<true>(matrix, local, carry, sums, rows, columns, blocks, count);
    else
        reduce<false>(matrix, local, carry, sums, rows, columns, blocks, count);
}

EVERY_WIDTH
void gradwire_update(int flush, const float *before, float *after, const float *broadcast,
                     const float *local, std::size_t rows, std::size_t columns) {
    if (flush)
        update<true>(before, after, broadcast, local, rows, columns);
    else
        update<false>(before, after, broadcast, local, rows, columns);
}

}

/* The compiled engine: a batch of texts from code points to scores.
 *
 * NumPy needs about a hundred calls per batch, a microsecond each, and a pass over memory for every
 * step; here a text is read once and stays in the processor's cache. What is computed is defined
 * elsewhere: the reading in folding.py, windows in windows.py, tokens in tokenizer.py, grams in
 * grams.py, surface in surface.py, scores in network.py and calibration.py, notices in notices.py.
 * Tests check over all of Unicode that both agree. Folding and cutting themselves are left to Python:
 * here, the few texts that need either are found.
 *
 * This is C with the vector extensions of GCC and Clang, without Python.h, so building it takes
 * only a compiler; compiled.py calls it through ctypes. Texts arrive as code points in NFKC. Calls
 * share nothing but the model, which they only read, so threads may call concurrently.
 */

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline))

/* On x86 the hot loops are compiled twice: for processors with AVX2 (since 2013) and for any. */
#ifdef __x86_64__
#define FAST __attribute__((target("avx2,fma")))
#define IS_FAST (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define FAST
#define IS_FAST 0
#endif

/* Bits of a code point's class, see compiled.py; 0 until it is entered. */
enum {
  KIND = 7, /* the three lowest bits: a kind, see characters.py */
  ENTERED = 8,
  LETTER = 16,  /* [^\W\d_] */
  DECIMAL = 32, /* \d */
  WORD = 64,    /* \w */
  BLANK = 128,  /* \s */
};
enum { SPACE, LOWER, UPPER, DIGIT, SIGN };

#define MAX_DIGITS 16
#define MAX_RUN 3
#define MAX_SIGNS 9
#define MAX_COUNTS 64
#define MAX_LEVEL 63
#define LEVELS 64
#define STRETCH 1024 /* characters whose n-grams are computed at a time */

/* Texts after which another thread on the same processor may run. Otherwise a small request next to
 * a large batch waits for the end of this thread's time slice, several milliseconds. */
#define POLITE 64

static const uint32_t STEP = 0x01000193u, JOIN = 0x85EBCA6Bu, SPREAD = 0x9E3779B1u;

/* A slot of the hash table of known tokens; an empty one has id 0. */
typedef struct {
  uint32_t hash, id, start, length; /* the code points start at tokens[start] */
} Slot;

/* A table whose rows are summed. */
typedef struct {
  const void *values;  /* int8 or float [rows, stride] */
  const float *scales; /* for int8: one per row of the embedding, one per column of the others */
  int32_t stride;      /* a multiple of 8; 1 for grams of one logit */
  int32_t is_packed;
} Table;

/* An artifact. */
typedef struct {
  const uint8_t *classes;  /* [0x110000] */
  const uint32_t *lower;   /* [0x110000], lower case where that is a single character */
  const uint32_t *tokens;  /* the code points of all known tokens */
  const int64_t *bounds;   /* token i is bounds[i - 1] to bounds[i] */
  Slot *slots;             /* [mask + 1] */
  int64_t mask;
  int32_t url, mention;
  int32_t digits[MAX_DIGITS + 1];
  /* features; grams and surface are 0 where the network does not read them */
  int32_t grams, shift, shortest, longest, words, signs, shapes, surface;
  /* surface */
  const uint8_t *sign_slots; /* [sign_slots_size]: where a sign is counted, or `aside` */
  int32_t sign_slots_size, aside, counts;
  const int64_t *steps;  /* [steps_size]: the smallest count of each level from 1 on */
  const uint8_t *levels; /* [levels_size]: the level of each small count */
  int32_t steps_size, levels_size;
  /* network */
  int32_t dimensions, extra, hidden, outputs, is_binary;
  Table embedding, gram_weights, surface_table; /* see network.py */
  const float *hidden1, *bias1; /* packed, see `layer`; hidden is a multiple of TILE */
  const float *hidden2, *bias2;
  const float *output, *output_bias; /* [outputs, hidden], [outputs] */
  /* windows */
  int32_t window_words; /* 0 if no text is cut */
  int32_t max_word;     /* characters; a longer run between white space is several words */
  double penalty;
  /* calibration, see calibration.py */
  double slope_below, slope_above, offset; /* 1, 1, 0 without one */
  double low_share; /* of known words, see notices.py */
} Model;

/* The numbers of words of a text, of all and of those in the vocabulary. */
typedef struct {
  int32_t all, known;
} Words;

/* An encoded batch. */
typedef struct {
  int64_t texts;
  int64_t *token_ends; /* text i has tokens token_ends[i - 1] to token_ends[i] */
  int64_t *gram_ends;
  int32_t *tokens;
  int32_t *grams;
  int32_t *surface; /* [texts, counts] */
  Words *words;     /* [texts] */
  int64_t tokens_size, grams_size;
} Batch;

/* The version of this file that the library was built from. */
EXPORT const char *dandelion_source(void) { return DANDELION_SOURCE; }

/* The offset and size of every field of each structure, and the size of the whole, which library.py
 * compares with its own. Every structure that Python creates or reads is listed completely. */
typedef struct {
  const char *name; /* NULL at the end */
  int64_t offset, size;
} Field;

#define STRUCTURE(type) {#type, 0, sizeof(type)}
#define FIELD(type, name) {#type "." #name, offsetof(type, name), sizeof(((type *)0)->name)}
#define SLOT(name) FIELD(Slot, name)
#define TABLE(name) FIELD(Table, name)
#define MODEL(name) FIELD(Model, name)
#define WORDS(name) FIELD(Words, name)
#define BATCH(name) FIELD(Batch, name)

EXPORT const Field *dandelion_layout(void) {
  static const Field layout[] = {
      STRUCTURE(Slot), SLOT(hash), SLOT(id), SLOT(start), SLOT(length),

      STRUCTURE(Table), TABLE(values), TABLE(scales), TABLE(stride), TABLE(is_packed),

      STRUCTURE(Model), MODEL(classes), MODEL(lower), MODEL(tokens), MODEL(bounds), MODEL(slots),
      MODEL(mask), MODEL(url), MODEL(mention), MODEL(digits),
      MODEL(grams), MODEL(shift), MODEL(shortest), MODEL(longest),
      MODEL(words), MODEL(signs), MODEL(shapes), MODEL(surface),
      MODEL(sign_slots), MODEL(sign_slots_size), MODEL(aside), MODEL(counts),
      MODEL(steps), MODEL(levels), MODEL(steps_size), MODEL(levels_size),
      MODEL(dimensions), MODEL(extra), MODEL(hidden), MODEL(outputs), MODEL(is_binary),
      MODEL(embedding), MODEL(gram_weights), MODEL(surface_table),
      MODEL(hidden1), MODEL(bias1), MODEL(hidden2), MODEL(bias2), MODEL(output), MODEL(output_bias),
      MODEL(window_words), MODEL(max_word), MODEL(penalty),
      MODEL(slope_below), MODEL(slope_above), MODEL(offset), MODEL(low_share),

      STRUCTURE(Words), WORDS(all), WORDS(known),

      STRUCTURE(Batch), BATCH(texts), BATCH(token_ends), BATCH(gram_ends),
      BATCH(tokens), BATCH(grams), BATCH(surface), BATCH(words),
      BATCH(tokens_size), BATCH(grams_size),

      {0},
  };
  return layout;
}

/* ---- vocabulary ------------------------------------------------------------------------------ */

INLINE uint32_t hash_codes(const uint32_t *codes, int64_t length) {
  uint32_t hash = 0;
  for (int64_t i = 0; i < length; i++) hash = (hash ^ codes[i]) * STEP;
  return hash;
}

INLINE int64_t slot_of(const Model *model, uint32_t hash) {
  return (int64_t)((hash ^ hash >> 15) * SPREAD >> 7) & model->mask;
}

INLINE int32_t look_up(const Model *model, const uint32_t *codes, int64_t length) {
  uint32_t hash = hash_codes(codes, length);
  for (int64_t place = slot_of(model, hash);; place = (place + 1) & model->mask) {
    const Slot *slot = model->slots + place;
    if (!slot->id) return 0;
    if (slot->hash != hash || slot->length != length) continue;
    const uint32_t *token = model->tokens + slot->start;
    int64_t same = 0;
    while (same < length && token[same] == codes[same]) same++;
    if (same == length) return (int32_t)slot->id;
  }
}

/* Enter tokens 1 … count into the empty hash table of a model, which has more slots than tokens. */
EXPORT void dandelion_index(const Model *model, int64_t count) {
  for (int64_t id = 1; id <= count; id++) {
    int64_t start = model->bounds[id - 1], length = model->bounds[id] - start;
    uint32_t hash = hash_codes(model->tokens + start, length);
    int64_t place = slot_of(model, hash);
    while (model->slots[place].id) place = (place + 1) & model->mask;
    model->slots[place] = (Slot){hash, (uint32_t)id, (uint32_t)start, (uint32_t)length};
  }
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* The number of characters if http://, https:// or www. starts here, else 0. */
static int64_t address_start(const uint32_t *text, int64_t left) {
  static const char *starts[] = {"http://", "https://", "www."};
  for (int which = 0; which < 3; which++) {
    int64_t i = 0;
    while (starts[which][i] && i < left && text[i] == (uint32_t)starts[which][i]) i++;
    if (!starts[which][i]) return i;
  }
  return 0;
}

/* Write the ids of the tokens of a lower-case text, and count its words; returns the number of
 * tokens. */
static int64_t find_tokens(const Model *model, const uint32_t *text, int64_t length, int32_t *ids,
                           Words *words) {
  const uint8_t *classes = model->classes;
  int64_t count = 0;
  int32_t all = 0, known = 0;
#define RUN(from, bit)                                             \
  stop = (from);                                                   \
  while (stop < length && (classes[text[stop]] & (bit))) stop++
  for (int64_t i = 0, stop; i < length; i = stop) {
    uint32_t code = text[i];
    uint8_t class = classes[code];
    uint8_t before = i ? classes[text[i - 1]] : 0;
    uint8_t after = i + 1 < length ? classes[text[i + 1]] : 0;
    if (class & LETTER) {
      if (code == 'h' || code == 'w') {
        int64_t start = address_start(text + i, length - i);
        if (start && i + start < length && !(classes[text[i + start]] & BLANK)) {
          stop = i + start;
          while (stop < length && !(classes[text[stop]] & BLANK)) stop++;
          ids[count++] = model->url;
          continue;
        }
      }
      RUN(i + 1, LETTER);
      int32_t id = look_up(model, text + i, stop - i);
      ids[count++] = id;
      all++;
      known += id != 0;
    } else if (class & BLANK) {
      stop = i + 1;
    } else if (class & DECIMAL) {
      RUN(i + 1, DECIMAL);
      int64_t digits = stop - i;
      ids[count++] = digits < 5 ? look_up(model, text + i, digits)
                                : model->digits[digits < MAX_DIGITS ? digits : MAX_DIGITS];
    } else if (code == '@' && !(before & WORD) && (after & WORD)) {
      RUN(i + 1, WORD);
      ids[count++] = model->mention;
    } else if (code == '\'' && (before & LETTER) && (after & LETTER)) {
      RUN(i + 1, LETTER);
      int32_t id = look_up(model, text + i, stop - i);
      ids[count++] = id;
      all++;
      known += id != 0;
    } else {
      stop = i + 1;
      while (stop < length && text[stop] == code) stop++;
      ids[count++] = look_up(model, text + i, stop - i < MAX_RUN ? stop - i : MAX_RUN);
    }
  }
#undef RUN
  *words = (Words){all, known};
  return count;
}

/* ---- grams ----------------------------------------------------------------------------------- */

INLINE int32_t bucket(uint32_t hash, uint32_t family, int32_t shift) {
  hash += family * SPREAD;
  hash ^= hash >> 15;
  hash *= 0x2C1B3C6Du;
  hash ^= hash >> 12;
  hash *= SPREAD;
  return (int32_t)(hash >> shift);
}

/* Write the buckets of the character n-grams inside words; returns their number.
 *
 * codes, kinds: [length + 2], the text with a space before and after it. They are processed one
 * stretch at a time, so that the hashes of a long text stay in the first-level cache too. */
INLINE int64_t find_chars(const Model *model, const uint32_t *codes, const uint8_t *kinds,
                          int64_t length, int32_t *ids) {
  uint32_t kept[STRETCH], hashes[STRETCH];
  int32_t buckets[STRETCH], reach[STRETCH]; /* the longest n-gram that ends here */
  int32_t since = 0;
  int64_t count = 0, filled = 0;
  for (int64_t i = 0;;) {
    for (; i < length + 2 && filled < STRETCH; i++) {
      int is_space = kinds[i] == SPACE;
      /* Only the last space of a run is kept. */
      if (is_space && i + 1 < length + 2 && kinds[i + 1] == SPACE) continue;
      kept[filled] = is_space ? ' ' : codes[i];
      /* An n-gram has spaces only at its ends, so it reaches back to the previous space at most. */
      reach[filled++] = ++since;
      if (is_space) since = 1;
    }
    int is_last = i == length + 2;
    /* N-grams that begin at the end of the stretch need characters of the next one. */
    int64_t begun = is_last ? filled : filled - model->longest + 1;
    memcpy(hashes, kept, (size_t)filled * sizeof *hashes);
    for (int32_t n = 2; n <= model->longest; n++) {
      /* So far, hashes[j] is the hash of the n - 1 characters from j on. */
      int64_t places = filled - n + 1 < begun ? filled - n + 1 : begun;
      for (int64_t j = 0; j < places; j++) {
        hashes[j] = hashes[j] * STEP + kept[j + n - 1];
        buckets[j] = bucket(hashes[j], (uint32_t)n, model->shift);
      }
      if (n < model->shortest) continue;
      for (int64_t j = 0; j < places; j++) {
        ids[count] = buckets[j];
        count += reach[j + n - 1] >= n;
      }
    }
    if (is_last) return count;
    filled -= begun;
    memmove(kept, kept + begun, (size_t)filled * sizeof *kept);
    memmove(reach, reach + begun, (size_t)filled * sizeof *reach);
  }
}

FAST static int64_t find_chars_fast(const Model *model, const uint32_t *codes, const uint8_t *kinds,
                                    int64_t length, int32_t *ids) {
  return find_chars(model, codes, kinds, length, ids);
}

/* Write the buckets of the grams of words, signs and shapes; returns their number. */
static int64_t find_others(const Model *model, const uint32_t *codes, const uint8_t *kinds,
                           int64_t length, int32_t *ids) {
  int64_t count = 0, words = 0, neighbours = 0;
  uint32_t word = 0, word_power = SPREAD, earlier[2] = {0, 0}, neighbour = 0;
  uint32_t shape = 0, shape_power = SPREAD;
  int in_word = 0, in_shape = 0;
#define EMIT(family, hash) ids[count++] = bucket((hash), (family), model->shift)
  for (int64_t i = 1; i <= length + 1; i++) { /* the space at the end closes the last word */
    uint8_t kind = kinds[i];
    int is_word = (kind >= LOWER && kind <= DIGIT) || codes[i] == '_';
    if (is_word) {
      word += codes[i] * word_power;
      word_power *= SPREAD;
      in_word = 1;
    } else if (in_word) {
      if (model->words > 0) EMIT(11, word);
      if (model->words > 1 && words > 0) EMIT(12, earlier[0] * JOIN + word);
      if (model->words > 2 && words > 1) EMIT(13, (earlier[1] * JOIN + earlier[0]) * JOIN + word);
      if (model->signs) {
        if (neighbours++) EMIT(21, neighbour * JOIN + word);
        neighbour = word;
      }
      earlier[1] = earlier[0];
      earlier[0] = word;
      words++;
      word = 0;
      word_power = SPREAD;
      in_word = 0;
    }
    if (model->signs && kind == SIGN && !is_word) {
      EMIT(20, codes[i]);
      if (neighbours++) EMIT(21, neighbour * JOIN + codes[i] * SPREAD);
      neighbour = codes[i] * SPREAD;
    }
    if (!model->shapes) continue;
    if (kind != SPACE) {
      uint32_t sign = kind == SIGN ? codes[i] : kind == LOWER ? 'x' : kind == UPPER ? 'X' : '9';
      shape += sign * shape_power;
      shape_power *= SPREAD;
      in_shape = 1;
    } else if (in_shape) {
      EMIT(30, shape);
      shape = 0;
      shape_power = SPREAD;
      in_shape = 0;
    }
  }
#undef EMIT
  return count;
}

/* ---- surface --------------------------------------------------------------------------------- */

INLINE int32_t level_of(const Model *model, int64_t count) {
  if (count < model->levels_size) return model->levels[count];
  int32_t level = model->levels[model->levels_size - 1];
  while (level < model->steps_size && model->steps[level] <= count) level++;
  return level;
}

INLINE int32_t sign_slot(const Model *model, uint32_t code, uint8_t kind) {
  /* The slots after those of the signs, in the order of surface.py. */
  static const uint8_t of_kind[] = {[SPACE] = 5, [LOWER] = 3, [UPPER] = 2, [DIGIT] = 1, [SIGN] = 0};
  int32_t slot = code < (uint32_t)model->sign_slots_size ? model->sign_slots[code] : model->aside;
  return slot == model->aside ? model->aside + of_kind[kind] : slot;
}

/* Count the occurrences of "http" and "www.". */
static int64_t count_links(const uint32_t *text, int64_t length) {
  int64_t links = 0;
  for (int64_t i = 0; i + 3 < length; i++) {
    if (text[i] == 'h')
      links += text[i + 1] == 't' && text[i + 2] == 't' && text[i + 3] == 'p';
    else if (text[i] == 'w')
      links += text[i + 1] == 'w' && text[i + 2] == 'w' && text[i + 3] == '.';
  }
  return links;
}

static void find_surface(const Model *model, const uint32_t *cased, const uint8_t *kinds,
                         int64_t length, int32_t *rows) {
  enum { OTHER_SIGN, DIGITS, UPPERS, LOWERS, NOT_ASCII, SPACES, DOUBLE_SPACES, BEFORE_SIGNS, MORE };
  /* Two alternating counters: an increment has to wait for the previous one of the same counter. */
  int32_t turns[2][MAX_COUNTS] = {{0}}, *counts = turns[0];
  int32_t *more = counts + model->aside;
  int32_t words = 0, not_ascii = 0, double_spaces = 0, before_signs = 0;
  int was_word = 0;
  for (int64_t i = 0; i < length; i++) {
    uint32_t code = cased[i];
    uint8_t kind = kinds[i + 1];
    int is_word = (kind >= LOWER && kind <= DIGIT) || code == '_';
    int again = kinds[i] == SPACE;
    turns[i & 1][sign_slot(model, code, kind)]++;
    words += is_word && !was_word;
    was_word = is_word;
    not_ascii += code >= 128;
    double_spaces += again && kind == SPACE;
    before_signs += again && kind == SIGN;
  }
  for (int32_t slot = 0; slot < MAX_COUNTS; slot++) counts[slot] += turns[1][slot];
  more[NOT_ASCII] = not_ascii;
  more[DOUBLE_SPACES] = double_spaces;
  more[BEFORE_SIGNS] = before_signs;
  int32_t counted = model->aside + MORE;
  for (int32_t slot = 0; slot < counted; slot++)
    rows[slot] = level_of(model, counts[slot]);
  int64_t letters = more[UPPERS] + more[LOWERS];
  /* The first and last character of an empty text is the space around it. */
  uint32_t first = length ? cased[0] : ' ', last = length ? cased[length - 1] : ' ';
  int64_t others[] = {
      level_of(model, words),
      level_of(model, count_links(cased, length)),
      level_of(model, length),
      length / 5,
      10 * more[UPPERS] / (letters ? letters : 1),
      sign_slot(model, first, kinds[1]),
      sign_slot(model, last, kinds[length]),
  };
  for (int32_t i = 0; i < 7; i++)
    rows[counted + i] = (int32_t)(others[i] < MAX_LEVEL ? others[i] : MAX_LEVEL);
  for (int32_t slot = 0; slot < model->counts; slot++) rows[slot] += slot * LEVELS;
}

/* ---- what texts need before they are encoded ------------------------------------------------- */

/* UNKNOWN: the classes of some code points must be entered first. */
enum { FOLD = 1, CUT = 2, UNKNOWN = 4 };

INLINE int is_separator(uint32_t code) {
  return code == ' ' || code == '.' || code == '*' || code == '_' || code == '-';
}

/* Whether the third of three single letters that the same one or two separators part is at i. */
static int is_parted(const uint8_t *classes, const uint32_t *text, int64_t length, int64_t i) {
#define IS(at, bits) ((at) >= 0 && (at) < length && (classes[text[at]] & (bits)))
  if (IS(i + 1, LETTER | DECIMAL)) return 0;
  for (int64_t gap = 1; gap <= 2; gap++) {
    int64_t second = i - gap - 1, first = second - gap - 1;
    if (!IS(second, LETTER) || !IS(first, LETTER) || IS(first - 1, LETTER | DECIMAL)) continue;
    int is_same = 1;
    for (int64_t j = 1; j <= gap; j++)
      is_same &= is_separator(text[first + j]) && text[first + j] == text[second + j];
    if (is_same) return 1;
  }
#undef IS
  return 0;
}

/* Whether folding changes a text without look-alikes. */
static uint8_t may_fold(const Model *model, const uint32_t *text, int64_t length) {
  const uint8_t *classes = model->classes;
  uint32_t before = 0, visible = 0; /* the character before, and the last that is not white space */
  int64_t run = 0, same = 0, signs = 0; /* signs: of any kind, without white space between */
  int found = 0;
  uint8_t common = ENTERED;
  for (int64_t i = 0; i < length; i++) {
    /* Read first, because compiled.py writes it last, perhaps in another thread right now. */
    uint8_t class = __atomic_load_n(classes + text[i], __ATOMIC_ACQUIRE);
    common &= class;
    uint32_t code = model->lower[text[i]];
    run = code == before ? run + 1 : 1;
    before = code;
    if (class & BLANK) {
      found |= run > MAX_RUN;
      signs = 0;
      continue;
    }
    if (class & (LETTER | DECIMAL)) signs = 0;
    if (class & LETTER) {
      found |= run > MAX_RUN;
      if (i && is_separator(text[i - 1])) found |= is_parted(classes, text, length, i);
    } else if (!(class & DECIMAL)) {
      same = code == visible ? same + 1 : 1;
      found |= same > MAX_RUN || ++signs > MAX_SIGNS;
    }
    visible = code;
  }
  return !common ? UNKNOWN : found ? FOLD : 0;
}

/* Whether a text has more words than a window. */
static uint8_t is_long(const Model *model, const uint32_t *text, int64_t length) {
  int64_t words = 0, size = 0;
  uint8_t common = ENTERED;
  for (int64_t i = 0; i < length; i++) {
    uint8_t class = __atomic_load_n(model->classes + text[i], __ATOMIC_ACQUIRE);
    common &= class;
    words += size == 0 && !(class & BLANK);
    size = class & BLANK || size + 1 == model->max_word ? 0 : size + 1;
  }
  return !common ? UNKNOWN : words > model->window_words ? CUT : 0;
}

static uint8_t needs_of(const Model *model, const uint32_t *text, int64_t length, int checks) {
  uint8_t needs = checks & FOLD ? may_fold(model, text, length) : 0;
  /* A word needs a character and white space. */
  if (checks & CUT && length > 2 * (int64_t)model->window_words)
    needs |= is_long(model, text, length);
  return needs;
}

/* Write to needs[n] which of the checks each text needs. */
EXPORT void dandelion_needs(const Model *model, int64_t n, const uint32_t *cased,
                            const int64_t *lengths, int64_t checks, uint8_t *needs) {
  for (int64_t i = 0; i < n; cased += lengths[i++])
    needs[i] = needs_of(model, cased, lengths[i], (int)checks);
}

/* ---- encode ---------------------------------------------------------------------------------- */

static Batch UNSEEN, UNREADY;

EXPORT const Batch *dandelion_unseen(void) { return &UNSEEN; }
EXPORT const Batch *dandelion_unready(void) { return &UNREADY; }

EXPORT void dandelion_free(Batch *batch) {
  if (!batch) return;
  free(batch->token_ends);
  free(batch->tokens);
  free(batch->grams);
  free(batch);
}

static int reserve(int32_t **array, int64_t *size, int64_t needed) {
  if (needed <= *size) return 1;
  int64_t wanted = needed + needed / 2;
  int32_t *grown = realloc(*array, (size_t)wanted * sizeof **array);
  if (!grown) return 0;
  *array = grown;
  *size = wanted;
  return 1;
}

/* Find tokens, grams and surface of n texts.
 *
 * cased: the code points of all texts, lengths[i] each. lowered: the same in lower case,
 * lowered_lengths[i] each; NULL if the lower case of each character by itself is the same. checks:
 * what the texts may need, FOLD and CUT; 0 if they are ready.
 * Returns a batch, which dandelion_free frees; NULL if out of memory; dandelion_unseen() if the
 * classes of some code points must be entered first; dandelion_unready() if a text needs something,
 * see dandelion_needs. */
EXPORT Batch *dandelion_encode(const Model *model, int64_t n, const uint32_t *cased,
                               const int64_t *lengths, const uint32_t *lowered,
                               const int64_t *lowered_lengths, int64_t checks) {
  int64_t longest = 0;
  const uint32_t *text = cased;
  for (int64_t i = 0; i < n; text += lengths[i++]) {
    if (lengths[i] > longest) longest = lengths[i];
    uint8_t needs = checks ? needs_of(model, text, lengths[i], (int)checks) : 0;
    if (needs) return needs & UNKNOWN ? &UNSEEN : &UNREADY;
  }
  /* The most grams per character: an n-gram of each length, a word n-gram of each length, a sign, a
   * pair, a shape. */
  int64_t each = !model->grams ? 0 : model->longest + model->words + 3;
  int64_t room = longest + 2;
  Batch *batch = calloc(1, sizeof *batch), *instead = NULL;
  uint32_t *codes = malloc((size_t)room * (sizeof *codes + 1));
  if (!batch || !codes) goto failed;
  uint8_t *kinds = (uint8_t *)(codes + room);
  batch->texts = n;
  batch->token_ends = malloc((size_t)(2 * n + 1) * sizeof *batch->token_ends +
                             (size_t)(n * model->counts) * sizeof *batch->surface +
                             (size_t)n * sizeof *batch->words);
  if (!batch->token_ends) goto failed;
  batch->gram_ends = batch->token_ends + n;
  batch->words = (Words *)(batch->gram_ends + n);
  batch->surface = (int32_t *)(batch->words + n);

  const int is_fast = IS_FAST;
  int64_t tokens = 0, grams = 0;
  for (int64_t row = 0; row < n; row++) {
    int64_t length = lengths[row];
    codes[0] = codes[length + 1] = ' ';
    kinds[0] = kinds[length + 1] = SPACE;
    uint8_t common = ENTERED;
    for (int64_t i = 0; i < length; i++) {
      /* Read first, because compiled.py writes it last, perhaps in another thread right now. */
      uint8_t class = __atomic_load_n(model->classes + cased[i], __ATOMIC_ACQUIRE);
      common &= class;
      codes[i + 1] = model->lower[cased[i]];
      kinds[i + 1] = class & KIND;
    }
    if (!common) { /* rare: each code point is entered once */
      instead = &UNSEEN;
      goto failed;
    }
    const uint32_t *words = lowered ? lowered : codes + 1;
    int64_t words_length = lowered ? lowered_lengths[row] : length;
    if (!reserve(&batch->tokens, &batch->tokens_size, tokens + words_length)) goto failed;
    tokens += find_tokens(model, words, words_length, batch->tokens + tokens, batch->words + row);
    batch->token_ends[row] = tokens;
    if (model->grams) {
      if (!reserve(&batch->grams, &batch->grams_size, grams + each * (length + 2))) goto failed;
      if (model->longest)
        grams += (is_fast ? find_chars_fast : find_chars)(model, codes, kinds, length,
                                                          batch->grams + grams);
      grams += find_others(model, codes, kinds, length, batch->grams + grams);
    }
    batch->gram_ends[row] = grams;
    if (model->surface) find_surface(model, cased, kinds, length, batch->surface + row * model->counts);
    cased += length;
    if (lowered) lowered += words_length;
    if (row % POLITE == POLITE - 1) sched_yield();
  }
  free(codes);
  return batch;

failed:
  free(codes);
  dandelion_free(batch);
  return instead;
}

/* ---- infer ----------------------------------------------------------------------------------- */

#define TILE 64 /* outputs of a layer that are packed together */
#define BLOCK 4 /* texts that share each loaded weight */

#define PRECISE 64 /* rows that are summed in float before the sum is added in double */

typedef float Vector __attribute__((vector_size(32), aligned(4)));
typedef int32_t Numbers __attribute__((vector_size(32)));

/* relu(weight @ in + bias) for `texts` inputs, each `inputs` long.
 *
 * weight: [outputs / TILE, inputs, TILE]. Outputs are computed `width` vectors at a time. */
INLINE void layer(const int texts, const int width, int32_t inputs, int32_t outputs,
                  const float *weight, const float *bias, const float *in, float *out) {
  for (int32_t tile = 0; tile < outputs; tile += TILE, weight += (int64_t)inputs * TILE) {
    for (int32_t part = 0; part < TILE; part += 8 * width) {
      /* Unrolled, the sums stay in registers. */
      Vector sums[BLOCK][8];
      UNROLL for (int t = 0; t < texts; t++)
        UNROLL for (int w = 0; w < width; w++)
          sums[t][w] = *(const Vector *)(bias + tile + part + 8 * w);
      const float *row = weight + part;
      for (int32_t i = 0; i < inputs; i++, row += TILE) {
        UNROLL for (int t = 0; t < texts; t++) {
          const float x = in[t * inputs + i];
          UNROLL for (int w = 0; w < width; w++) sums[t][w] += x * *(const Vector *)(row + 8 * w);
        }
      }
      UNROLL for (int t = 0; t < texts; t++)
        UNROLL for (int w = 0; w < width; w++)
          *(Vector *)(out + t * outputs + tile + part + 8 * w) = sums[t][w];
    }
  }
  for (int64_t i = 0; i < (int64_t)texts * outputs; i++) out[i] = out[i] > 0 ? out[i] : 0;
}

INLINE float dot(const float *left, const float *right, int32_t size) {
  Vector sums = {0};
  for (int32_t i = 0; i < size; i += 8)
    sums += *(const Vector *)(left + i) * *(const Vector *)(right + i);
  float sum = 0;
  for (int lane = 0; lane < 8; lane++) sum += sums[lane];
  return sum;
}

/* Spelled out, this compiles to a single instruction. */
INLINE Numbers widened(const int8_t *eight) {
  return (Numbers){eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]};
}

/* Sum rows of a table, eight columns at a time, into sums[stride]. */
INLINE void sum_rows(const Table *table, const int scaled_by_row, const int32_t *ids, int64_t count,
                     float *sums) {
  int64_t stride = table->stride;
  for (int64_t column = 0; column < stride; column += 8) {
    const int8_t *packed = (const int8_t *)table->values + column;
    const float *whole = (const float *)table->values + column;
    double totals[8] = {0};
    for (int64_t start = 0; start < count; start += PRECISE) {
      int64_t stop = count - start < PRECISE ? count : start + PRECISE;
      Vector sum = {0};
      if (!table->is_packed) {
        for (int64_t i = start; i < stop; i++) sum += *(const Vector *)(whole + ids[i] * stride);
      } else if (scaled_by_row) {
        for (int64_t i = start; i < stop; i++)
          sum += table->scales[ids[i]] *
                 __builtin_convertvector(widened(packed + ids[i] * stride), Vector);
      } else {
        Numbers numbers = {0};
        for (int64_t i = start; i < stop; i++) numbers += widened(packed + ids[i] * stride);
        sum = __builtin_convertvector(numbers, Vector);
      }
      for (int lane = 0; lane < 8; lane++) totals[lane] += sum[lane];
    }
    for (int lane = 0; lane < 8; lane++) {
      float scale = table->is_packed && !scaled_by_row ? table->scales[column + lane] : 1;
      sums[column + lane] = (float)totals[lane] * scale;
    }
  }
}

/* The same for a table of one column. */
INLINE float sum_column(const Table *table, const int32_t *ids, int64_t count) {
  if (table->is_packed) {
    const int8_t *values = table->values;
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[ids[i]];
    return (float)sum * table->scales[0];
  }
  const float *values = table->values;
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += values[ids[i]];
  return (float)sum;
}

/* Average a text's rows of the embedding and of the surface table into the input of the network,
 * and start its logits with what bypasses the layers. sums has room for a row of any table. */
INLINE void read_text(const Model *model, const Batch *batch, int64_t row, float *input,
                      float *logits, float *sums) {
  int32_t dimensions = model->dimensions, outputs = model->outputs;
  int64_t start = row ? batch->token_ends[row - 1] : 0, count = batch->token_ends[row] - start;
  sum_rows(&model->embedding, 1, batch->tokens + start, count, sums);
  for (int32_t j = 0; j < dimensions; j++) input[j] = sums[j] / (count ? (float)count : 1);

  memcpy(logits, model->output_bias, (size_t)outputs * sizeof *logits);
  if (model->grams) {
    start = row ? batch->gram_ends[row - 1] : 0;
    count = batch->gram_ends[row] - start;
    if (model->gram_weights.stride == 1)
      sums[0] = sum_column(&model->gram_weights, batch->grams + start, count);
    else
      sum_rows(&model->gram_weights, 0, batch->grams + start, count, sums);
    float root = count ? (float)sqrt((double)count) : 1;
    for (int32_t j = 0; j < outputs; j++) logits[j] += sums[j] / root;
  }
  if (model->surface) {
    int32_t counts = model->counts;
    sum_rows(&model->surface_table, 0, batch->surface + row * counts, counts, sums);
    for (int32_t j = 0; j < outputs; j++) logits[j] += sums[j] / (float)counts;
    for (int32_t j = 0; j < model->extra; j++)
      input[dimensions + j] = sums[outputs + j] / (float)counts;
  }
}

/* Turn the logits of a text into its scores for more than two labels, see network.py. */
INLINE void write_scores(const Model *model, const float *logits, float *scores) {
  int32_t outputs = model->outputs;
  float largest = logits[0];
  for (int32_t j = 1; j < outputs; j++) largest = logits[j] > largest ? logits[j] : largest;
  double sum = 0, slope = model->slope_below;
  for (int32_t j = 0; j < outputs; j++) sum += exp(slope * ((double)logits[j] - largest));
  for (int32_t j = 0; j < outputs; j++)
    scores[j] = (float)(exp(slope * ((double)logits[j] - largest)) / sum);
}

/* Reduce the logits of a text to the log-odds of the positive label. */
INLINE double log_odds(const float *logits, int32_t outputs) {
  double logit = logits[0];
  if (outputs > 1) {
    double largest = -INFINITY, sum = 0;
    for (int32_t j = 1; j < outputs; j++) {
      double other = (double)logits[j] - logits[0];
      largest = other > largest ? other : largest;
    }
    for (int32_t j = 1; j < outputs; j++) sum += exp((double)logits[j] - logits[0] - largest);
    logit = largest + log(sum);
  }
  return logit;
}

/* log(1 + e^logit) */
INLINE double softplus(double logit) {
  return (logit > 0 ? logit : 0) + log1p(exp(-fabs(logit)));
}

/* Each step keeps the order of its arguments, also when rounded. */
INLINE double calibrated(const Model *model, double logit) {
  double below = model->slope_below, above = model->slope_above;
  if (below == above) return below * logit + model->offset;
  return above * softplus(logit) - below * softplus(-logit) + model->offset;
}

INLINE float sigmoid(double logit) { return (float)(1 / (1 + exp(-logit))); }

/* Write the scores of a batch, or its logits. windows: where not NULL, how many of the batch's texts
 * are the windows of each scored text. */
INLINE int infer(const Model *model, const Batch *batch, const int64_t *windows, int wants_logits,
                 float *scores) {
  int32_t inputs = model->dimensions + model->extra, outputs = model->outputs;
  int32_t hidden = model->hidden;
  int32_t row_size = model->embedding.stride;
  if (model->gram_weights.stride > row_size) row_size = model->gram_weights.stride;
  if (model->surface_table.stride > row_size) row_size = model->surface_table.stride;
  float *in = malloc(sizeof *in * (size_t)(BLOCK * (inputs + 2 * hidden + outputs) + row_size));
  if (!in) return 0;
  float *first = in + BLOCK * inputs, *second = first + BLOCK * hidden;
  float *logits = second + BLOCK * hidden, *sums = logits + BLOCK * outputs;
  double largest = -INFINITY;
  int64_t window = 0; /* its number among those of its text */
  for (int64_t row = 0; row < batch->texts; row += BLOCK) {
    int texts = batch->texts - row < BLOCK ? (int)(batch->texts - row) : BLOCK;
    for (int t = 0; t < texts; t++)
      read_text(model, batch, row + t, in + t * inputs, logits + t * outputs, sums);
    if (texts == BLOCK) {
      layer(BLOCK, 2, inputs, hidden, model->hidden1, model->bias1, in, first);
      layer(BLOCK, 2, hidden, hidden, model->hidden2, model->bias2, first, second);
    } else {
      for (int t = 0; t < texts; t++) {
        layer(1, 8, inputs, hidden, model->hidden1, model->bias1, in + t * inputs,
              first + t * hidden);
        layer(1, 8, hidden, hidden, model->hidden2, model->bias2, first + t * hidden,
              second + t * hidden);
      }
    }
    for (int t = 0; t < texts; t++) {
      for (int32_t j = 0; j < outputs; j++)
        logits[t * outputs + j] += dot(second + t * hidden, model->output + j * hidden, hidden);
      if (!model->is_binary) {
        float *found = scores + (row + t) * outputs;
        if (wants_logits)
          memcpy(found, logits + t * outputs, (size_t)outputs * sizeof *found);
        else
          write_scores(model, logits + t * outputs, found);
        continue;
      }
      double logit = log_odds(logits + t * outputs, outputs);
      if (windows) {
        largest = logit > largest ? logit : largest;
        if (++window < *windows) continue;
        logit = largest - model->penalty * log((double)*windows++);
        largest = -INFINITY;
        window = 0;
      }
      /* Scores are those of the logits that can be asked for. */
      float rounded = (float)logit;
      *scores++ = wants_logits ? rounded : sigmoid(calibrated(model, rounded));
    }
    if (row % POLITE == POLITE - BLOCK) sched_yield();
  }
  free(in);
  return 1;
}

FAST static int infer_fast(const Model *model, const Batch *batch, const int64_t *windows,
                           int wants_logits, float *scores) {
  return infer(model, batch, windows, wants_logits, scores);
}

/* Score an encoded batch: float[n], or float[n, outputs] for more than two labels. windows: NULL, or
 * how many of the batch's texts are the windows of each of the n, see windows.py; for two labels
 * only. Returns 0 if out of memory. */
EXPORT int dandelion_infer(const Model *model, const Batch *batch, const int64_t *windows,
                           float *scores) {
  return (IS_FAST ? infer_fast : infer)(model, batch, windows, 0, scores);
}

/* The same, but write the logits before calibration: log-odds of the positive label, float[n], or
 * float[n, outputs] for more than two labels. */
EXPORT int dandelion_logits(const Model *model, const Batch *batch, const int64_t *windows,
                            float *logits) {
  return (IS_FAST ? infer_fast : infer)(model, batch, windows, 1, logits);
}

/* ---- words and notices ------------------------------------------------------------------------ */

/* Return the numbers of words of a batch of one text: of all << 32 | of those in the vocabulary. */
EXPORT int64_t dandelion_words_of_one(const Batch *batch) {
  int64_t all = 0, known = 0;
  for (int64_t row = 0; row < batch->texts; row++) {
    all += batch->words[row].all;
    known += batch->words[row].known;
  }
  return all << 32 | known;
}

/* Write the numbers of words of each text, and find the texts with a notice, see notices.py; returns
 * how many there are. windows: see dandelion_infer. notices: NULL, or room for one of each text: 0
 * for none. */
EXPORT int64_t dandelion_words(const Model *model, const Batch *batch, const int64_t *windows,
                               Words *words, uint8_t *notices) {
  enum { NONE, NO_CONTENT, LOW_EVIDENCE };
  int64_t found = 0;
  for (int64_t row = 0, text = 0; row < batch->texts; text++) {
    int64_t stop = row + (windows ? windows[text] : 1), all = 0, known = 0;
    for (; row < stop; row++) {
      all += batch->words[row].all;
      known += batch->words[row].known;
    }
    int is_low = (double)known < model->low_share * (double)all;
    uint8_t notice = !all ? NO_CONTENT : is_low ? LOW_EVIDENCE : NONE;
    words[text] = (Words){(int32_t)all, (int32_t)known};
    if (notices) notices[text] = notice;
    found += notice != NONE;
  }
  return found;
}

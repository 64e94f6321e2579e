/* What a fuzz target offers: libFuzzer's entry point, which tests/fuzz/standalone.c calls too.
 *
 * With clang: clang -fsanitize=fuzzer,address -I. tests/fuzz/fuzz-NAME.c and what it tests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

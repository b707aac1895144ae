// Each task tells all others something by PMI2, across nodes; prints "RANK of SIZE: VALUE VALUE ...".
#include <slurm/pmi2.h>
#include <stdio.h>

#define CHECK(call)                                         \
  do {                                                      \
    const int status = (call);                              \
    if (status != PMI2_SUCCESS) {                           \
      fprintf(stderr, #call ": status %d\n", status);       \
      return 1;                                             \
    }                                                       \
  } while (0)

int main(void) {
  int spawned, size, rank, application;
  CHECK(PMI2_Init(&spawned, &size, &rank, &application));
  char key[32], value[64], line[4096];
  snprintf(key, sizeof key, "key-%d", rank);
  snprintf(value, sizeof value, "value-%d", rank);
  CHECK(PMI2_KVS_Put(key, value));
  CHECK(PMI2_KVS_Fence());
  int used = snprintf(line, sizeof line, "%d of %d:", rank, size);
  for (int other = 0; other < size; ++other) {
    int length;
    snprintf(key, sizeof key, "key-%d", other);
    CHECK(PMI2_KVS_Get(NULL, PMI2_ID_NULL, key, value, sizeof value, &length));
    used += snprintf(line + used, sizeof line - (size_t)used, " %s", value);
  }
  puts(line);
  return PMI2_Finalize() != PMI2_SUCCESS;
}

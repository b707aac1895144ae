// Each task tells all others something by PMIx, across nodes; prints "RANK of SIZE: VALUE VALUE ...".
#include <pmix.h>
#include <stdio.h>

#define CHECK(call)                                                             \
  do {                                                                          \
    const pmix_status_t status = (call);                                        \
    if (status != PMIX_SUCCESS) {                                               \
      fprintf(stderr, #call ": %s\n", PMIx_Error_string(status));               \
      return 1;                                                                 \
    }                                                                           \
  } while (0)

int main(void) {
  pmix_proc_t self, other;
  CHECK(PMIx_Init(&self, NULL, 0));
  pmix_value_t *found;
  PMIX_LOAD_PROCID(&other, self.nspace, PMIX_RANK_WILDCARD);
  CHECK(PMIx_Get(&other, PMIX_JOB_SIZE, NULL, 0, &found));
  const unsigned size = found->data.uint32;
  char text[64], line[4096];
  snprintf(text, sizeof text, "value-%u", self.rank);
  pmix_value_t value = {.type = PMIX_STRING, .data.string = text};
  CHECK(PMIx_Put(PMIX_GLOBAL, "key", &value));
  CHECK(PMIx_Commit());
  bool collects = true;
  pmix_info_t collect;
  PMIX_INFO_LOAD(&collect, PMIX_COLLECT_DATA, &collects, PMIX_BOOL);
  CHECK(PMIx_Fence(&other, 1, &collect, 1));
  int used = snprintf(line, sizeof line, "%u of %u:", self.rank, size);
  for (other.rank = 0; other.rank < size; ++other.rank) {
    CHECK(PMIx_Get(&other, "key", NULL, 0, &found));
    used += snprintf(line + used, sizeof line - (size_t)used, " %s", found->data.string);
  }
  puts(line);
  return PMIx_Finalize(NULL, 0) != PMIX_SUCCESS;
}

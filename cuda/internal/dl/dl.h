/* Opens the first driver library of the candidates and initialises it. Returns a CUresult, or SPD_NO_DRIVER when none can be loaded; why then
   holds the loader's message. */
#define SPD_NO_DRIVER (-1)
int spdDriverOpen(const char *const *candidates, int count, char *why, int size);

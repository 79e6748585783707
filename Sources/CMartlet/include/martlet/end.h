/* Closes what martlet/begin.h opened. */
MARTLET_END
#if defined(__clang__)
#  pragma clang diagnostic pop
#endif

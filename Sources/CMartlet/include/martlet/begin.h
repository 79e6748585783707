/* Included first by every extension header: no guard, ended by martlet/end.h. */
#if defined(__clang__)
#  pragma clang diagnostic push
#  pragma clang diagnostic ignored "-Wnullability-extension"
#endif
MARTLET_BEGIN

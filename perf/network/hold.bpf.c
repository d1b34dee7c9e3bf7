/* Holds each packet with data for HOLD nanoseconds before it leaves, as a longer wire would: a
 * program for the egress of a link (tc filter ... bpf da), where the kernel has no netem. The
 * sender's CPU waits meanwhile, so it suits links whose sender has nothing else to do. Packets of
 * at most 70 bytes are bare acknowledgements. */
#define SECTION(name) __attribute__((section(name), used))

struct __sk_buff {
    unsigned len;
};

static unsigned long (*const now_ns)(void) = (void *)5;
static long (*const repeat)(unsigned n, void *step, void *context,
                            unsigned long flags) = (void *)181;

static long is_over(unsigned i, void *context) {
    return now_ns() >= *(unsigned long *)context;
}

SECTION("classifier") int hold(struct __sk_buff *packet) {
    unsigned long until = now_ns() + HOLD;
    if (packet->len > 70) {
        repeat(1 << 20, is_over, &until, 0);
    }
    return -1; /* as without a program */
}

SECTION("license") char permission[] = "Dual MIT/GPL";

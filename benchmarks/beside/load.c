/* The load of the benchmarks: `load serve` answers, `load drive` asks. One thread each, epoll, no allocation under load.
 *
 * The client's hello is a real ClientHello. Its 32 random bytes, which no proxy touches, say what the server is to do:
 *   "BNCH", u64 bytes of the answer, u32 bytes of a later request, u32 bytes of a later reply, u8 whether to end then.
 *
 * Any other hello is answered with a byte.
 *
 *   load serve IP PORT...
 *   load drive IP PORT HELLO-FILE [key=number...]      prints one JSON object
 *     at=64       connections (or round trips) under way at any time
 *     n=20000     connections, or round trips over the held ones
 *     answer=300  bytes that answer the hello
 *     rounds=0    round trips after that answer: `request` bytes there, `reply` bytes back
 *     request=200 reply=300
 *     sources=16  client addresses, 127.0.0.1, 127.0.1.1, ...
 *     hold=0      idle connections opened beforehand; then it says "held" and waits for a line
 *     cycle=0     1: no new connections, `n` round trips over the held ones instead, in turn
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 1 << 16, CHUNK = 1 << 18, TURN = 256, RANDOM_AT = 11 };

struct order { /* as it stands in the hello */
  char magic[4];
  uint64_t answer;
  uint32_t request, reply;
  uint8_t end;
} __attribute__((packed));

static char chunk[CHUNK];

static void die(const char *what) {
  perror(what);
  exit(2);
}

static struct sockaddr_in address(const char *ip, int port) {
  struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, ip, &made.sin_addr) != 1) die(ip);
  return made;
}

static void watch(int poll, int op, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(poll, op, fd, &event)) die("epoll_ctl");
}

static int64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* --- serve --- */

static struct guest {
  struct order order;
  uint64_t owed;      /* bytes still to be sent */
  uint32_t got, hello; /* bytes of the present request; length of the hello, 0 once it was answered */
  int waits;           /* whether writability is watched */
} guests[MOST_FDS];

static void leave(int fd) { close(fd); }

/* Sends what is owed; 1 once nothing is. */
static int pay(int poll, int fd) {
  struct guest *guest = &guests[fd];
  while (guest->owed) {
    ssize_t sent = send(fd, chunk, guest->owed < CHUNK ? guest->owed : CHUNK, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) return leave(fd), 0;
      if (!guest->waits) watch(poll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT), guest->waits = 1;
      return 0;
    }
    guest->owed -= sent;
  }
  if (guest->waits) watch(poll, EPOLL_CTL_MOD, fd, EPOLLIN), guest->waits = 0;
  if (guest->order.end) return leave(fd), 0;
  return 1;
}

static void hear_hello(int poll, int fd, const unsigned char *data, size_t size) {
  struct guest *guest = &guests[fd];
  if (!guest->got && size < RANDOM_AT + sizeof(struct order)) return leave(fd); /* a probe, or torn */
  if (!guest->got) {
    memcpy(&guest->order, data + RANDOM_AT, sizeof guest->order);
    guest->hello = 5 + (data[3] << 8 | data[4]);
    if (memcmp(guest->order.magic, "BNCH", 4)) guest->order = (struct order){.answer = 1, .end = 1};
  }
  guest->got += size;
  if (guest->got < guest->hello) return;
  guest->hello = guest->got = 0;
  guest->owed = guest->order.answer;
  pay(poll, fd);
}

static void attend(int poll, int fd, uint32_t events) {
  static char in[CHUNK];
  struct guest *guest = &guests[fd];
  if (events & EPOLLOUT && !pay(poll, fd)) return;
  if (!(events & ~EPOLLOUT)) return;
  ssize_t size = recv(fd, in, sizeof in, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return leave(fd);
  if (guest->hello) return hear_hello(poll, fd, (unsigned char *)in, size);
  guest->got += size;
  while (guest->order.request && guest->got >= guest->order.request)
    guest->got -= guest->order.request, guest->owed += guest->order.reply;
  if (guest->owed) pay(poll, fd);
}

static void serve(int count, char **words) {
  int poll = epoll_create1(0), on = 1;
  static char door[MOST_FDS];
  for (int i = 1; i < count; i++) {
    struct sockaddr_in here = address(words[0], atoi(words[i]));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (void *)&here, sizeof here) || listen(fd, 16384)) die("listen");
    door[fd] = 1;
    watch(poll, EPOLL_CTL_ADD, fd, EPOLLIN);
  }
  puts("ready");
  fflush(stdout);
  struct epoll_event ready[TURN];
  for (;;) {
    int n = epoll_wait(poll, ready, TURN, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd;
      if (!door[fd]) {
        attend(poll, fd, ready[i].events);
        continue;
      }
      int guest = accept4(fd, 0, 0, SOCK_NONBLOCK);
      if (guest < 0) continue;
      guests[guest] = (struct guest){.hello = 1};
      watch(poll, EPOLL_CTL_ADD, guest, EPOLLIN);
    }
  }
}

/* --- drive --- */

enum phase { CONNECTS, ASKED, ENDS, IDLES };

static struct visit {
  enum phase phase;
  uint64_t due; /* bytes of the present answer that are still to come */
  int rounds;   /* round trips that follow */
  int64_t since;
} visits[MOST_FDS];

static struct plan { long at, n, answer, rounds, request, reply, sources, hold, cycle; } plan = {
    .at = 64, .n = 20000, .answer = 300, .request = 200, .reply = 300, .sources = 16};

static struct sockaddr_in target;
static char hello[65536];
static size_t hello_size;
static int poll_fd, holding;
static int idle[MOST_FDS]; /* held connections that nothing is asked on: a ring */
static long idle_in, idle_out;
static long started, done, bad;
static float *took; /* microseconds of each connection, or round trip, until its last byte */
static long taken;

static void order(int end) {
  struct order what = {.magic = "BNCH", .answer = plan.answer, .request = plan.request, .reply = plan.reply, .end = end};
  memcpy(hello + RANDOM_AT, &what, sizeof what);
}

static void finish(int fd, int well) {
  close(fd);
  bad += !well;
  done++;
}

static void say(int fd, size_t size, const char *words, uint64_t due) {
  if (send(fd, words, size, MSG_NOSIGNAL) != (ssize_t)size) return finish(fd, 0);
  visits[fd].phase = ASKED;
  visits[fd].due = due;
}

static void begin(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) die("socket");
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000001 + started % plan.sources * 256)};
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(fd, (void *)&from, sizeof from)) die("bind");
  started++;
  visits[fd] = (struct visit){.phase = CONNECTS, .rounds = plan.rounds, .since = now_ns()};
  if (connect(fd, (void *)&target, sizeof target) && errno != EINPROGRESS) return finish(fd, 0);
  watch(poll_fd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void answered(int fd) {
  struct visit *visit = &visits[fd];
  if (plan.cycle || visit->rounds == plan.rounds) took[taken++] = (now_ns() - visit->since) / 1e3f;
  if (holding || plan.cycle) {
    visit->phase = IDLES;
    idle[idle_in++ % MOST_FDS] = fd;
    done++;
  } else if (visit->rounds) {
    visit->rounds--;
    say(fd, plan.request, chunk, plan.reply);
  } else if (plan.rounds) {
    finish(fd, 1); /* after round trips it is the client that ends */
  } else {
    visit->phase = ENDS;
  }
}

static void hear(int fd) {
  struct visit *visit = &visits[fd];
  for (;;) {
    /* TCP drops what MSG_TRUNC reads instead of copying it: the load must cost less than the proxy. */
    ssize_t size = recv(fd, chunk, CHUNK, MSG_TRUNC);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return finish(fd, size == 0 && visit->phase == ENDS);
    if (visit->phase != ASKED || (uint64_t)size > visit->due) return finish(fd, 0);
    visit->due -= size;
    if (visit->due) continue;
    long before = done;
    answered(fd);
    if (done != before || visit->phase != ENDS) return;
  }
}

static void on_ready(int fd, uint32_t events) {
  struct visit *visit = &visits[fd];
  if (visit->phase == CONNECTS) {
    if (events & (EPOLLERR | EPOLLHUP)) return finish(fd, 0);
    if (events & EPOLLOUT) say(fd, hello_size, hello, plan.answer);
  }
  if (visit->phase == IDLES && events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) bad++;
  if (events & EPOLLIN && (visit->phase == ASKED || visit->phase == ENDS)) hear(fd);
}

static void run(long until) {
  struct epoll_event ready[TURN];
  while (done < until) {
    while (started < until && started - done < plan.at) begin();
    int n = epoll_wait(poll_fd, ready, TURN, 10000);
    if (n <= 0) {
      fprintf(stderr, "no progress for 10 s: %ld of %ld\n", done, until);
      exit(3);
    }
    for (int i = 0; i < n; i++) on_ready(ready[i].data.fd, ready[i].events);
  }
}

/* Round trips over the held connections: the one that has rested longest is next. */
static void cycle(long until) {
  struct epoll_event ready[TURN];
  while (done < until) {
    for (; started < until && started - done < plan.at && idle_out < idle_in; started++) {
      int fd = idle[idle_out++ % MOST_FDS];
      visits[fd].since = now_ns();
      say(fd, plan.request, chunk, plan.reply);
    }
    int n = epoll_wait(poll_fd, ready, TURN, 10000);
    if (n <= 0) die("no progress for 10 s");
    for (int i = 0; i < n; i++) on_ready(ready[i].data.fd, ready[i].events);
  }
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void report(double seconds) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  qsort(took, taken, sizeof *took, by_size);
  printf("{\"done\": %ld, \"bad\": %ld, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"cpu_seconds\": %.6f}\n",
         done, bad, seconds, taken ? took[taken / 2] : 0, taken ? took[taken * 99 / 100] : 0,
         used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
  fflush(stdout);
}

static void read_plan(int count, char **words) {
  const char *names[] = {"at", "n", "answer", "rounds", "request", "reply", "sources", "hold", "cycle"};
  for (int i = 0; i < count; i++) {
    char *equals = strchr(words[i], '='), known = 0;
    for (size_t k = 0; equals && k < sizeof names / sizeof *names; k++)
      if (!strncmp(words[i], names[k], equals - words[i]) && !names[k][equals - words[i]])
        ((long *)&plan)[k] = atol(equals + 1), known = 1;
    if (!known) fprintf(stderr, "not understood: %s\n", words[i]), exit(2);
  }
}

static void hold(void) {
  holding = 1;
  order(0);
  run(plan.hold);
  holding = 0;
  printf("held %ld bad %ld\n", done, bad);
  fflush(stdout);
  while (getchar() != '\n')
    if (feof(stdin)) exit(0);
  started = done = taken = 0;
}

static int drive(int count, char **words) {
  target = address(words[0], atoi(words[1]));
  FILE *file = fopen(words[2], "r");
  if (!file) die(words[2]);
  hello_size = fread(hello, 1, sizeof hello, file);
  read_plan(count - 3, words + 3);
  took = calloc(plan.n + plan.hold + 1, sizeof *took);
  poll_fd = epoll_create1(0);
  if (plan.hold) hold();
  int64_t since = now_ns();
  if (plan.cycle) {
    cycle(plan.n);
  } else {
    order(!plan.rounds);
    run(plan.n);
  }
  report((now_ns() - since) / 1e9);
  while (plan.hold && getchar() != EOF) {} /* the held ones stay until we are told */
  return 0;
}

int main(int count, char **words) {
  if (count > 3 && !strcmp(words[1], "serve")) serve(count - 2, words + 2);
  if (count > 4 && !strcmp(words[1], "drive")) return drive(count - 2, words + 2);
  fprintf(stderr, "load serve IP PORT... | load drive IP PORT HELLO-FILE [key=number...]\n");
  return 2;
}

from select import epoll as epoll

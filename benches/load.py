# Issues RATE coupons a second over 32 connections, open loop: latency counts from the intended start.
# python3 benches/load.py PORT COUPON TOKENS_FILE RATE SECONDS [TOKENS_TO_SKIP]
import socket,sys,time,threading,json
port,coupon,tokens,rate,secs=int(sys.argv[1]),sys.argv[2],sys.argv[3],int(sys.argv[4]),float(sys.argv[5])
off=int(sys.argv[6]) if len(sys.argv)>6 else 0
toks=[l.strip() for l in open(tokens)][off:off+int(rate*secs)+100]
C=32; lats=[]; lock=threading.Lock(); bad=[0]
start=time.perf_counter()+0.2
def work(c):
    s=socket.create_connection(("127.0.0.1",port)); s.setsockopt(socket.IPPROTO_TCP,socket.TCP_NODELAY,1)
    my=[]; i=c; buf=b""
    while True:
        due=start+i/rate
        if due>start+secs or i>=len(toks): break
        d=due-time.perf_counter()
        if d>0: time.sleep(d)
        s.sendall(f"POST /v1/coupons/{coupon}/issue HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {toks[i]}\r\nContent-Length: 0\r\n\r\n".encode())
        while b"\r\n\r\n" not in buf: buf+=s.recv(65536)
        h,buf=buf.split(b"\r\n\r\n",1)
        n=int([l for l in h.split(b"\r\n") if l.lower().startswith(b"content-length")][0].split(b":")[1])
        while len(buf)<n: buf+=s.recv(65536)
        buf=buf[n:]
        if b" 201 " not in h.split(b"\r\n")[0]: bad[0]+=1
        my.append(time.perf_counter()-due); i+=C
    with lock: lats.extend(my)
ts=[threading.Thread(target=work,args=(c,)) for c in range(C)]
[t.start() for t in ts]; [t.join() for t in ts]
lats.sort(); n=len(lats)
print(f"{n} commands in {secs}s, bad {bad[0]}, p50 {lats[n//2]*1e3:.1f} ms, p99 {lats[int(n*.99)]*1e3:.1f} ms, max {lats[-1]*1e3:.1f} ms")

State     Recv-Q Send-Q Local Address:Port Peer Address:Port Process                  
LISTEN    0      5        192.168.0.4:8000      0.0.0.0:*                             
TIME-WAIT 0      0        192.168.0.4:8000 192.168.0.12:40000 timer:(timewait,59sec,0)
TIME-WAIT 0      0        192.168.0.4:8000  192.168.0.4:40002 timer:(timewait,59sec,0)

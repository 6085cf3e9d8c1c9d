State      Recv-Q Send-Q Local Address:Port  Peer Address:Port Process                  
LISTEN     0      64       192.168.0.4:3000       0.0.0.0:*                             
LISTEN     0      64       192.168.0.5:3000       0.0.0.0:*                             
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40002                         
FIN-WAIT-2 0      0       192.168.0.12:40000  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WAIT-2 0      0       192.168.0.12:40001  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WAIT-2 0      0       192.168.0.12:40002  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WAIT-2 0      0       192.168.0.12:40003  192.168.0.4:3000  timer:(timewait,59sec,0)
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40001                         
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40003                         
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40000                         
